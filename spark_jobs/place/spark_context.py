"""The Spark context of both jobs: what Verger needs whatever cluster it runs on.

Neither job uses Spark SQL: rows never pass through the JVM, which hands out tasks and brings small results back.
"""

from pyspark import SparkConf, SparkContext

from spark_jobs.place.yarn_executors import executors_in_time, wait_for_executors

# One thread per task slot: the model and the matrix products of a worker must leave the other cores alone.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
CONF = {
    "spark.python.worker.reuse": "true",
    # A lost node costs its tasks another try; a task that failed four times has a reason of its own.
    "spark.task.maxFailures": "4",
    "spark.ui.showConsoleProgress": "false",
} | {f"spark.executorEnv.{variable}": "1" for variable in ONE_THREAD}
# Set where the context is somebody else's and the next job's too: Databricks opens one for all tasks of a cluster.
KEEP_CONTEXT = "spark.verger.keepContext"


def open_context(name: str) -> SparkContext:
    """The context of a job, with at least one executor. Raises StepFailedError when YARN has none for it in time."""
    SparkContext._ensure_initialized()  # noqa: SLF001 - a SparkConf knows spark-submit's properties only after this
    conf = SparkConf().setAppName(name).setAll(list(CONF.items()))
    with executors_in_time(conf):
        context = SparkContext.getOrCreate(conf)
    wait_for_executors(context)
    if context.getConf().get("spark.log.level", None) is None:
        context.setLogLevel("WARN")
    return context


def close_context(context: SparkContext) -> None:
    """Stop the context, unless its configuration says that it outlives the job."""
    if context.getConf().get(KEEP_CONTEXT, "false") != "true":
        context.stop()


def task_slots(context: SparkContext) -> int:
    """How many tasks run at the same time, once every executor that was asked for is there."""
    conf = context.getConf()
    asked_for = int(conf.get("spark.executor.instances", "0")) * int(conf.get("spark.executor.cores", "1"))
    return max(1, asked_for, context.defaultParallelism)

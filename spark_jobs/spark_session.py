"""The Spark session of both jobs: what Verger needs whatever cluster it runs on."""

from pyspark.sql import SparkSession

# One thread per task slot: the model and the matrix products of a worker must leave the other cores alone.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def open_session(name: str) -> SparkSession:
    """The session of a job."""
    builder = (
        SparkSession.builder.appName(name)
        .config("spark.python.worker.reuse", "true")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "64")
        .config("spark.sql.parquet.compression.codec", "zstd")
        # Rows count by their commit record alone, so files may appear one by one: half the renames, no _SUCCESS.
        .config("spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version", "2")
        .config("spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
        # A lost node costs its tasks another try; a task that failed four times has a reason of its own.
        .config("spark.task.maxFailures", "4")
        .config("spark.ui.showConsoleProgress", "false")
    )
    for variable in ONE_THREAD:
        builder = builder.config(f"spark.executorEnv.{variable}", "1")
    session = builder.getOrCreate()
    if session.conf.get("spark.log.level", None) is None:
        session.sparkContext.setLogLevel("WARN")
    return session


def task_slots(session: SparkSession) -> int:
    """How many tasks run at the same time, once every executor that was asked for is there."""
    conf = session.sparkContext.getConf()
    asked_for = int(conf.get("spark.executor.instances", "0")) * int(conf.get("spark.executor.cores", "1"))
    return max(1, asked_for, session.sparkContext.defaultParallelism)

"""Getting slow beginnings over with, side by side, before the first image is asked for.

The Python workers import their packages and load the model in seconds, a good part of a short step.
"""

from collections.abc import Callable

from pyspark import SparkContext

from spark_jobs.worker.infer import BroadcastModel, engine_of_worker


def warm_up(spark: SparkContext, model: BroadcastModel, slots: int) -> None:
    """Return when the workers hold the model."""
    spark.parallelize(range(slots), slots).foreach(_loading(model))


def _loading(model: BroadcastModel) -> Callable[[int], None]:
    def load(_: int) -> None:
        engine_of_worker(model)

    return load

"""Getting slow beginnings over with, side by side, before the first image is asked for.

The first use of S3A in a JVM loads thousands of classes on one core, for seconds; so do Spark SQL's, while the Python
workers import and load the model. In a short step that is a good part of the whole.
"""

import threading
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from spark_jobs.infer import BroadcastModel, engine_of_worker
from spark_jobs.s3_address import S3Address


def warm_up(spark: SparkSession, model: BroadcastModel, folder: S3Address, slots: int) -> None:
    """Return when the workers hold the model; meanwhile the file system of the tables is opened.

    Opening ahead may fail: whoever writes then meets the same error and reports it.
    """
    threading.Thread(target=_open_file_system, args=(spark, folder), name="warm-up", daemon=True).start()
    spark.range(0, slots, 1, slots).mapInArrow(_loading(model), "id long").count()


def _loading(model: BroadcastModel) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def load(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        engine_of_worker(model)
        yield from batches

    return load


def _open_file_system(spark: SparkSession, folder: S3Address) -> None:
    context = spark.sparkContext
    try:
        path = context._jvm.org.apache.hadoop.fs.Path(folder.uri)  # type: ignore[union-attr]  # noqa: SLF001 - Spark has no public way
        path.getFileSystem(context._jsc.hadoopConfiguration()).exists(path)  # noqa: SLF001 - the same
    except Exception as error:  # noqa: BLE001 - see warm_up
        print(f"featurize: the file system was not opened ahead: {type(error).__name__}", flush=True)

"""Getting a slow beginning over with while something else is waited for.

The first use of S3A in a JVM loads thousands of classes on one core for seconds. In a short step that is a good part
of the whole: here it happens while Spark SQL plans and the Python workers start.
"""

import threading

from pyspark.sql import SparkSession

from spark_jobs.s3_address import S3Address


def warm_up(spark: SparkSession, folder: S3Address) -> None:
    """Open the file system of the tables, and return at once.

    A warm-up that fails is no failure: whoever writes meets the same error and reports it.
    """
    threading.Thread(target=_open_file_system, args=(spark, folder), name="warm-up", daemon=True).start()


def _open_file_system(spark: SparkSession, folder: S3Address) -> None:
    context = spark.sparkContext
    try:
        path = context._jvm.org.apache.hadoop.fs.Path(folder.uri)  # type: ignore[union-attr]  # noqa: SLF001 - Spark has no public way
        path.getFileSystem(context._jsc.hadoopConfiguration()).exists(path)  # noqa: SLF001 - the same
    except Exception as error:  # noqa: BLE001 - see warm_up
        print(f"featurize: the file system was not opened ahead: {type(error).__name__}", flush=True)

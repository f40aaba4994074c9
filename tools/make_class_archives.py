"""Makes the class archives of the local run's JVMs, so that they start in two thirds of the time.

    PYTHONPATH=. .venv/spark/bin/python -m tools.make_class_archives

Starts the S3 server and one Spark step as the local run does, and lets each write what it has loaded into the folder
of its jars. A Java that cannot do this leaves no archive: then everything works as before, and starts more slowly.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import S3Store

from local_emr.environment import local_spark
from local_emr.settings import LocalEmrSettings
from tools.local_run import class_archive, emr_server, s3_server
from tools.local_run.processes import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROJECT = Path(__file__).resolve().parent.parent
JARS = PROJECT / ".cache" / "jars"
BUCKET = "warm-up"
#: What a step does in the JVM before its work begins: a context, a broadcast, tasks of Python.
STEP = """
from pyspark import SparkContext
context = SparkContext()
context.broadcast(bytes(10))
assert context.parallelize(range(4), 4).mapPartitions(lambda rows: [sum(rows)]).treeReduce(max) == 3
context.stop()
"""


def archive_s3_server(archive: Path, work: Path) -> None:
    """Starts the S3 server, stores, reads and lists an object, and ends it. Raises ServerError, obstore's errors."""
    options = class_archive.writing(archive)
    (work / "s3" / BUCKET).mkdir(parents=True)
    settings = s3_server.S3Settings(work / "s3", work, work / "s3.log", JARS / "s3proxy", java_options=options)
    with s3_server.running(settings) as server:
        store = S3Store(
            BUCKET,
            endpoint=server.url,
            access_key_id=server.access_key,
            secret_access_key=server.secret_key,
            region="eu-west-1",
            client_options={"allow_http": True},
            retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=20)},
        )
        obstore.put(store, "object", b"content")
        obstore.get(store, "object").bytes()
        list(obstore.list(store))


def archive_spark(archive: Path, work: Path) -> None:
    """Runs a Spark step that writes an archive. Raises CalledProcessError."""
    run_spark(class_archive.writing(archive), work)


def run_spark(java_options: Sequence[str], work: Path) -> None:
    """Runs a Spark step as the local EMR does, with these options of its driver's JVM. Raises CalledProcessError."""
    home = Path(next(path for path in sys.path if path.endswith("site-packages"))) / "pyspark"
    settings = LocalEmrSettings(work_dir=work, spark_home=home, jars_dir=JARS / "s3a")
    spark = local_spark(settings, "http://127.0.0.1:1")
    if spark is None:
        raise TypeError("a Spark home was given, and yet there is no Spark")
    options = " ".join([emr_server.QUICK_START, *map(emr_server.quoted, java_options)])
    conf = dict(spark.conf) | {
        "spark.driver.extraClassPath": ":".join(spark.class_path),
        "spark.driver.extraJavaOptions": options,
    }
    program = work / "step.py"
    program.write_text(STEP, "utf-8")
    command = [str(spark.submit), "--master", "local[2]"]
    command += [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    variables = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": str(home)}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    subprocess.run([*command, str(program)], env=kept | variables, check=True, capture_output=True)


def make(folder: Path, write: Callable[[Path, Path], None]) -> bool:
    """Make the archive of a folder's jars; it is there whole or not at all. Whether this Java can do it."""
    archive = folder / class_archive.NAME
    archive.unlink(missing_ok=True)  # before the start: the JVM that writes one reads none
    with tempfile.TemporaryDirectory(dir=folder) as work:
        written = Path(work) / class_archive.NAME
        try:
            write(written, Path(work))
        except (subprocess.CalledProcessError, ServerError):
            return False
        if not written.is_file():
            return False
        written.replace(archive)
    return True


def main() -> int:
    """The program."""
    made = [make(JARS / "s3proxy", archive_s3_server), make(JARS / "s3a", archive_spark)]
    if not all(made):
        print("class data sharing: not with this Java; the S3 server and Spark start as they always did")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""A PySpark step as Verger submits them, run by a real spark-submit."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local_emr import LocalEmrSettings, spark_home_of
from local_emr.server import serving
from tests.local_emr.conftest import (
    ACCESS_KEY,
    BUCKET,
    SECRET_KEY,
    Lab,
    clients,
    java_home,
    node_with_python,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
SPARK_PYTHON = PROJECT / ".venv" / "spark" / "bin" / "python"
JARS = PROJECT / ".cache" / "jars" / "s3a"

SCRIPT = """
import sys
from pyspark.sql import SparkSession
from arithmetic import double

spark = SparkSession.builder.appName("doubling").getOrCreate()
total = spark.sparkContext.parallelize(range(10), 2).map(double).sum()
print("total", total, "with", spark.sparkContext.master, spark.conf.get("spark.driver.memory"), flush=True)
print("python", sys.executable, flush=True)
if sys.argv[1] == "s3":
    spark.range(5).write.parquet(sys.argv[2])
    print("rows", spark.read.parquet(sys.argv[2]).count(), flush=True)
if sys.argv[1] == "fail":
    raise ValueError("k=2000 is larger than 1280")
"""


@pytest.fixture(scope="module")
def spark_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A user of a local EMR with Spark, whose nodes have a Python where Verger's bootstrap action puts it."""
    if not SPARK_PYTHON.exists():
        pytest.skip("the environment .venv/spark is not there: run `make .venv/spark/.ready`")
    settings = LocalEmrSettings(
        work_dir=tmp_path_factory.mktemp("work"),
        node_root=node_with_python(tmp_path_factory.mktemp("node"), SPARK_PYTHON),
        spark_home=spark_home_of(SPARK_PYTHON),
        spark_python=SPARK_PYTHON,
        java_home=java_home(),
        jars_dir=JARS if any(JARS.glob("*.jar")) else None,
        memory_mib=700,
        cores=2,
        log_seconds=1,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )
    with serving(settings) as endpoint:
        lab = clients(endpoint)
        lab.make_bucket()
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("arithmetic.py", "def double(x):\n    return 2 * x\n")
        lab.s3.put_object(Bucket=BUCKET, Key="code/arithmetic.zip", Body=package.getvalue())
        lab.put("code/doubling.py", SCRIPT)
        yield lab


def spark_step(*arguments: str) -> dict[str, Any]:
    """The step as Verger's DAG writes it."""
    words = ["spark-submit", "--deploy-mode", "cluster", "--master", "yarn"]
    words += ["--py-files", f"s3://{BUCKET}/code/arithmetic.zip", "--conf", "spark.executor.instances=4"]
    words += ["--conf", "spark.pyspark.python=/opt/verger/venv/bin/python", "--executor-memory", "8g"]
    words += [f"s3://{BUCKET}/code/doubling.py", *arguments]
    jar = {"Jar": "command-runner.jar", "Args": words}
    return {"Name": "doubling", "ActionOnFailure": "TERMINATE_CLUSTER", "HadoopJarStep": jar}


@pytest.mark.spark
def test_spark_steps_run_read_and_write_s3_and_tell_why_they_fail(spark_lab: Lab) -> None:
    lab = spark_lab
    through_s3 = any(JARS.glob("*.jar"))
    target = f"s3://{BUCKET}/table with space/é+%23"
    cluster = lab.start(spark_step("s3" if through_s3 else "no", target), spark_step("fail"))
    wait_until(lambda: lab.status(cluster)["State"] == "TERMINATED_WITH_ERRORS", 540)
    first, second = lab.steps(cluster)
    output = lab.log(cluster, f"steps/{first['Id']}/stdout")
    assert first["Status"]["State"] == "COMPLETED", lab.log(cluster, f"steps/{first['Id']}/stderr")
    assert "total 90 with local[2] 700m" in output
    assert "/opt/verger/venv/bin/python" in output
    if through_s3:
        assert "rows 5" in output
        listed = lab.s3.list_objects_v2(Bucket=BUCKET, Prefix="table with space/é+%23/")["Contents"]
        assert any(item["Key"].endswith(".parquet") for item in listed)
    assert second["Status"]["State"] == "FAILED"
    assert second["Status"]["FailureDetails"]["Message"] == "ValueError: k=2000 is larger than 1280"

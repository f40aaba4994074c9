"""A local EMR with a real YARN, for tests: what it needs, and the requests that they make of it."""

from __future__ import annotations

from contextlib import contextmanager
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
    from collections.abc import Iterator, Mapping

PROJECT = Path(__file__).resolve().parents[2]
SPARK_PYTHON = PROJECT / ".venv" / "spark" / "bin" / "python"
JARS = PROJECT / ".cache" / "jars"
NODE_PYTHON = "/opt/verger/venv/bin/python"
#: A JVM that starts on a loaded machine takes its time, and a step starts three.
STEP_SECONDS = 400


@contextmanager
def serving_yarn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A user of a local EMR with YARN, in which a minute of EMR's or EC2's takes a second."""
    for needed in (SPARK_PYTHON, JARS / "yarn" / ".ready", JARS / "s3a" / ".ready"):
        if not needed.exists():
            pytest.skip(f"{needed.relative_to(PROJECT)} is not there: run `make environments`")
    settings = LocalEmrSettings(
        work_dir=tmp_path_factory.mktemp("work"),
        node_root=node_with_python(tmp_path_factory.mktemp("node"), SPARK_PYTHON),
        spark_home=spark_home_of(SPARK_PYTHON),
        spark_python=SPARK_PYTHON,
        java_home=java_home(),
        jars_dir=JARS / "s3a",
        yarn_jars_dir=JARS / "yarn",
        spark_conf={"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"},
        log_seconds=0.5,
        idle_time_scale=1 / 60,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )
    with serving(settings) as endpoint:
        lab = clients(endpoint)
        lab.make_bucket()
        yield lab


def fleets(kind: str, core: int, spot: int = 0) -> dict[str, Any]:
    """A cluster's machines: so many core nodes and so many Spot task nodes of one type."""
    types = [{"InstanceType": kind}]
    found = [
        {"InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": types},
        {"InstanceFleetType": "CORE", "TargetOnDemandCapacity": core, "InstanceTypeConfigs": types},
    ]
    if spot:
        found.append({"InstanceFleetType": "TASK", "TargetSpotCapacity": spot, "InstanceTypeConfigs": types})
    return {"InstanceFleets": found}


def spark_defaults(properties: Mapping[str, str]) -> list[dict[str, Any]]:
    """A cluster's configurations with Spark's properties and the driver's region, as Verger's clusters have them."""
    export = {"Classification": "export", "Properties": {"AWS_REGION": "eu-north-1"}}
    return [
        {"Classification": "spark-env", "Properties": {}, "Configurations": [export]},
        {"Classification": "spark-defaults", "Properties": {"spark.dynamicAllocation.enabled": "false", **properties}},
    ]


def spark_step(script: str, *conf: str, py_files: str = "", arguments: tuple[str, ...] = ()) -> dict[str, Any]:
    """A step as Verger's clusters have it."""
    words = ["spark-submit", "--deploy-mode", "client", "--master", "yarn", "--conf"]
    words += [f"spark.pyspark.python={NODE_PYTHON}", *(word for pair in conf for word in ("--conf", pair))]
    words += ["--py-files", py_files] if py_files else []
    jar = {"Jar": "command-runner.jar", "Args": [*words, f"s3://{BUCKET}/code/{script}", *arguments]}
    return {"Name": script, "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}


def finished(lab: Lab, cluster: str, number: int = 0) -> dict[str, Any]:
    """The step of that number once it is over."""
    wait_until(lambda: lab.step_states(cluster)[number] in ("COMPLETED", "FAILED", "CANCELLED"), STEP_SECONDS)
    return lab.steps(cluster)[number]


def container_logs(lab: Lab, cluster: str) -> list[str]:
    listed = lab.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"logs/{cluster}/containers/").get("Contents", [])
    return [item["Key"] for item in listed]

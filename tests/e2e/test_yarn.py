"""The main job on a real YARN of two nodes: the same bits as in one JVM, and what a node that goes away costs."""

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from verger.storage.layout import RunLayout
from verger_rules.layout import run_folder
from verger_rules.schemas import FEATURIZED

from tests.e2e.fault_rows import arm, assert_ended_well, assert_no_cluster_alive, struck
from tests.e2e.installation import Verger, draw, installed
from tools import local_stack
from tools.local_run.run_view import RunView

if TYPE_CHECKING:
    from mypy_boto3_emr.type_defs import InstanceTypeConfigTypeDef

pytestmark = [pytest.mark.e2e, pytest.mark.spark, pytest.mark.timeout(1500)]

GOOD = 60
#: Enough chunks that a node goes away between two of them.
MANY, CHUNK = 900, 150
CHUNK_STORED = "images/s"


@pytest.fixture(scope="module")
def verger(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verger]:
    """An installation whose clusters have a real YARN; EC2's two minutes take twelve seconds."""
    with installed(project, tmp_path_factory.mktemp("verger"), idle_time_scale=0.1, on_yarn=True) as verger:
        yield verger


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"), GOOD)


@pytest.fixture(scope="module")
def first_run(verger: Verger, pictures: Path) -> RunView:
    return verger.run(source=str(pictures), k=5, core_nodes=2)


def rows_below(verger: Verger, prefix: str) -> pa.Table:
    """Every row below a prefix but for who computed it and when, by path."""
    s3, bucket = verger.stack.s3(), verger.layout.bucket
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ())]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys if key.endswith(".parquet")]
    return (
        pa.concat_tables([pq.read_table(io.BytesIO(body)) for body in bodies])
        .drop_columns(["run", "computed_at"])
        .sort_by("path")
    )


def step_logs(verger: Verger) -> list[str]:
    """The keys of the logs of all clusters."""
    listed = verger.stack.s3().get_paginator("list_objects_v2").paginate(Bucket=verger.layout.bucket, Prefix="logs/")
    return [entry["Key"] for page in listed for entry in page.get("Contents", ())]


def spot_cluster(verger: Verger) -> str:
    """The id of a cluster, ended at once, of one core node and one Spot task node: a plan takes none for so little."""
    types: list[InstanceTypeConfigTypeDef] = [{"InstanceType": "m6i.xlarge", "WeightedCapacity": 1}]
    emr = verger.stack.emr()
    made = emr.run_job_flow(
        Name="a model for a shape",
        ReleaseLabel="emr-spark-8.1.0",
        ServiceRole="role",
        JobFlowRole="profile",
        Instances={
            "InstanceFleets": [
                {"InstanceFleetType": "MASTER", "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": types},
                {"InstanceFleetType": "CORE", "TargetOnDemandCapacity": 1, "InstanceTypeConfigs": types},
                {"InstanceFleetType": "TASK", "TargetSpotCapacity": 1, "InstanceTypeConfigs": types},
            ]
        },
    )
    emr.terminate_job_flows(JobFlowIds=[made["JobFlowId"]])
    return str(made["JobFlowId"])


def test_two_nodes_compute_and_the_cluster_ends(verger: Verger, first_run: RunView) -> None:
    assert_ended_well(verger, first_run, GOOD)
    by_node = verger.metrics(first_run, "featurize.json")["executors"]
    assert len(by_node) == 2, "each NodeManager has an address of its own"
    assert sum(figures["images"] for figures in by_node.values()) == GOOD
    logs = step_logs(verger)
    assert any("/containers/application_" in key and key.endswith("/stderr.gz") for key in logs)
    assert any(key.endswith("hadoop-yarn-nodemanager.log.gz") for key in logs)


def test_its_features_are_those_of_one_jvm_to_the_last_bit(
    verger: Verger, first_run: RunView, project: Path, tmp_path: Path
) -> None:
    bucket, settings = verger.layout.bucket, verger.stack.settings
    run = RunLayout(verger.layout, first_run.run_id)
    fingerprint = verger.metrics(first_run, "featurize.json")["model_fingerprint"]
    environment = local_stack.cleared(os.environ) | verger.stack.environment
    environment |= {
        "PYTHONPATH": f"{project}:{project / 'plugins'}",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "AWS_ALLOW_HTTP": "true",
    }
    python = settings.environments / "spark" / "bin" / "python"
    arguments = [
        *("--manifest-uri", run.run_file("manifest.parquet").uri, "--run-id", "one jvm"),
        *("--features-uri", f"s3://{bucket}/one-jvm/features", "--answers-uri", f"s3://{bucket}/one-jvm/answers"),
        *("--model-uri", f"s3://{bucket}/models/{fingerprint}", "--metrics-uri", f"s3://{bucket}/one-jvm/f.json"),
    ]
    command = [
        str(python.parent / "spark-submit"),
        "--master",
        "local[2]",
        str(project / "spark_jobs/entry_points/featurize.py"),
    ]
    environment["PYSPARK_PYTHON"] = str(python)
    subprocess.run([*command, *arguments], env=environment, check=True, cwd=tmp_path, timeout=600)
    ours = rows_below(verger, f"{verger.layout.feature_table(fingerprint).key}/{run_folder(FEATURIZED, run.slug)}/")
    assert ours.num_rows == GOOD
    assert ours.equals(rows_below(verger, f"one-jvm/features/model={fingerprint}/outcome={FEATURIZED}/"))


@pytest.mark.parametrize(
    "fault", ["spot_interruption", pytest.param("worker_lost", marks=[pytest.mark.long, pytest.mark.faults])]
)
def test_a_node_that_goes_away_in_the_middle_loses_no_picture_and_doubles_none(
    verger: Verger, first_run: RunView, pictures: Path, fault: str
) -> None:
    assert first_run.state == "success"
    draw(pictures / fault, MANY, seed=len(fault))
    before = len(rows_below(verger, "features/"))
    arm(verger, {"fault": fault, "step": "featurize", "after_output": CHUNK_STORED})
    conf: dict[str, Any] = {"source": str(pictures), "k": 5, "core_nodes": 2, "chunk_images": CHUNK}
    like = spot_cluster(verger) if fault == "spot_interruption" else ""
    run = verger.run(**conf, like_cluster_id=like)
    assert struck(verger)[fault] == 1
    arm(verger)
    if run.state != "success":
        # The step may fail with its cause; then the next run goes on after the last committed chunk.
        assert run.failed_task == "wait_for_featurize"
        run = verger.run(**conf)
    listed = verger.metrics(run, "plan.json")["listed"]
    assert_ended_well(verger, run, listed)
    metrics = verger.metrics(run, "featurize.json")
    assert metrics["total_featurized"] == listed
    matrix = run_matrix(verger, run)
    assert matrix.num_rows == listed == len(set(matrix["path"].to_pylist()))
    assert len(rows_below(verger, "features/")) >= before + MANY
    assert_no_cluster_alive(verger)


def run_matrix(verger: Verger, run: RunView) -> pa.Table:
    """The published matrix."""
    address = RunLayout(verger.layout, run.run_id).result_file("matrix.parquet")
    body = verger.stack.s3().get_object(Bucket=address.bucket, Key=address.key)["Body"].read()
    return pq.read_table(io.BytesIO(body))

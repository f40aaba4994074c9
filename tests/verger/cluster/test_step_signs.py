"""The signs of work in the bucket, on a real S3 and a local EMR, and what a wait and the reaper make of them."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import TriggerEvent
from mypy_boto3_emr import EMRClient
from mypy_boto3_s3 import S3Client
from verger.cluster.operators import StepSensor
from verger.cluster.reaping import Judge, reap
from verger.cluster.step_signs import StepWork, read_progress, read_stall, running_step
from verger.cluster.tags import cluster_tags
from verger.cluster.triggers import STALLED, StepProgressTrigger
from verger.housekeeping import _find_stall
from verger.run.deployment import Deployment
from verger_rules.layout import run_slug

from tests.local_emr.conftest import wait_until

REGION: Final = "eu-west-1"
RUN = "manual__1"
MODEL = "0123456789abcdef"
OUTCOMES = ("featurized", "rejected")


@pytest.fixture
def store(local_emr: EMRClient) -> S3Client:
    """The S3 beside the local EMR."""
    return boto3.client("s3", endpoint_url=local_emr.meta.endpoint_url, region_name=REGION)


@pytest.fixture
def fruits(store: S3Client, request: pytest.FixtureRequest) -> str:
    """A bucket of this test alone."""
    name = f"signs-{abs(hash(request.node.nodeid)):x}"
    store.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def featurize_step(bucket: str, script: str = "sleep 120") -> Any:
    """A step with the arguments of featurize, which bash leaves alone."""
    arguments = [
        "--metrics-uri", f"s3://{bucket}/runs/r/featurize.json", "--run-id", RUN,
        "--features-uri", f"s3://{bucket}/features", "--model-uri", f"s3://{bucket}/models/{MODEL}",
    ]  # fmt: skip
    jar = {"Jar": "command-runner.jar", "Args": ["bash", "-c", script, *arguments]}
    return {"Name": "featurize", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}


def put(store: S3Client, bucket: str, key: str, content: Any = None) -> None:
    store.put_object(Bucket=bucket, Key=key, Body=json.dumps(content or {}).encode())


def running(emr: EMRClient, create_cluster: Callable[..., str], bucket: str, **more: Any) -> tuple[str, StepWork]:
    """A cluster at whose step nothing moves, and the step."""
    cluster_id = create_cluster(Steps=[featurize_step(bucket)], LogUri=f"s3://{bucket}/logs/", **more)
    wait_until(lambda: running_step(emr, cluster_id) is not None)
    work = running_step(emr, cluster_id)
    assert work is not None
    return cluster_id, work


def stall_seconds(store: S3Client, work: StepWork) -> float:
    return read_stall(store, work, read_progress(store, work.progress), timedelta(0)).lasts.total_seconds()


def test_a_step_that_beats_without_work_stands_still_and_any_work_moves_it(
    local_emr: EMRClient, create_cluster: Callable[..., str], store: S3Client, fruits: str
) -> None:
    _, work = running(local_emr, create_cluster, fruits)
    long_ago = work.started - timedelta(hours=1)
    work = StepWork(work.step_id, work.name, long_ago, work.progress, work.written)
    assert stall_seconds(store, work) >= 3590, "it never told anything"
    put(store, fruits, "runs/r/featurize.progress.json", {"phase": "compute", "idle_seconds": 1200})
    assert 1190 <= stall_seconds(store, work) < 1800, "the object is new, the work is not"
    put(store, fruits, f"features/model={MODEL}/outcome=featurized/another-run/00001/0.parquet")
    put(store, fruits, f"features/model={MODEL}/_delta_log/00000000000000000007.json")
    assert stall_seconds(store, work) >= 1190, "another run's files and commits are none of its"
    put(store, fruits, "runs/r/featurize.progress.json", {"phase": "compute", "idle_seconds": 0.5})
    assert stall_seconds(store, work) < 60


@pytest.mark.parametrize(
    "key",
    [
        "runs/r/featurize.workers/ip-10-0-0-1-77.json",
        *(f"features/model={MODEL}/outcome={outcome}/{run_slug(RUN)}/00003/0.parquet" for outcome in OUTCOMES),
    ],
)
def test_workers_and_files_of_the_table_are_signs_of_their_own(
    local_emr: EMRClient, create_cluster: Callable[..., str], store: S3Client, fruits: str, key: str
) -> None:
    _, work = running(local_emr, create_cluster, fruits)
    work = StepWork(work.step_id, work.name, work.started - timedelta(hours=1), work.progress, work.written)
    put(store, fruits, key)
    assert stall_seconds(store, work) < 60


def test_a_progress_object_of_older_code_counts_as_life(
    local_emr: EMRClient, create_cluster: Callable[..., str], store: S3Client, fruits: str
) -> None:
    _, work = running(local_emr, create_cluster, fruits)
    work = StepWork(work.step_id, work.name, work.started - timedelta(hours=1), work.progress, work.written)
    put(store, fruits, "runs/r/featurize.progress.json", {"images_done": 3, "images_total": 9, "images_per_second": 1})
    assert stall_seconds(store, work) < 60


def trigger(cluster_id: str, step_id: str, *, tell: float, end: float) -> StepProgressTrigger:
    return StepProgressTrigger(
        tell_seconds=tell, end_seconds=end, job_flow_id=cluster_id, step_id=step_id, waiter_delay=1,
        waiter_max_attempts=60, aws_conn_id=None, region_name=REGION,
    )  # fmt: skip


async def first_event(wait: StepProgressTrigger) -> TriggerEvent:
    return await anext(wait.run())


def test_a_wait_tells_that_its_step_stands_still_and_gives_it_up_also_when_the_triggerer_starts_again(
    local_emr: EMRClient,
    create_cluster: Callable[..., str],
    store: S3Client,
    fruits: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster_id, work = running(local_emr, create_cluster, fruits)

    def sign_is_later_than_start() -> bool:
        """S3 tells whole seconds."""
        put(store, fruits, "runs/r/featurize.progress.json", {"phase": "start", "idle_seconds": 0})
        sign = read_progress(store, work.progress).sign
        return sign is not None and sign.at > work.started

    wait_until(sign_is_later_than_start)
    first = trigger(cluster_id, work.step_id, tell=2, end=5)
    # What the triggerer stores, and makes anew after it was killed.
    path, arguments = first.serialize()
    assert path.endswith("StepProgressTrigger")
    again = StepProgressTrigger(**arguments)
    event = asyncio.run(first_event(again))
    assert event.payload["status"] == STALLED
    assert "last seen: phase start" in event.payload["message"]
    warnings = [line for line in capsys.readouterr().out.splitlines() if "has not moved" in line]
    assert 1 <= len(warnings) <= 3, "at two and four seconds and when it is given up, not at each look"
    assert f"s3://{fruits}/logs/{cluster_id}/steps/{work.step_id}/" in warnings[0]
    assert f"s3://{fruits}/logs/{cluster_id}/containers/" in warnings[0]
    assert f"step featurize ({work.step_id}) of cluster {cluster_id}" in warnings[0]


def test_a_slow_step_whose_work_moves_is_waited_for_to_its_end(
    local_emr: EMRClient, create_cluster: Callable[..., str], store: S3Client, fruits: str, tmp_path: Path
) -> None:
    """It takes several times as long as it may stand still, and its log says nothing of standing still."""
    done = tmp_path / "done"
    step = featurize_step(fruits, f"until test -e {done}; do sleep 0.1; done")
    cluster_id = create_cluster(Steps=[step], LogUri=f"s3://{fruits}/logs/")
    wait_until(lambda: running_step(local_emr, cluster_id) is not None)
    work = running_step(local_emr, cluster_id)
    assert work is not None
    wait = trigger(cluster_id, work.step_id, tell=20, end=30)
    looks = 0

    def look_and_work() -> Any:
        nonlocal looks
        looks += 1
        put(store, fruits, f"runs/r/featurize.workers/{looks}.json")
        if looks == 4:
            done.touch()
        return StepProgressTrigger._look(wait)

    wait._look = look_and_work  # type: ignore[method-assign]
    event = asyncio.run(first_event(wait))
    assert event.payload["status"] == "success"
    assert looks >= 4


def test_a_step_whose_progress_cannot_be_read_is_not_given_up(
    local_emr: EMRClient, create_cluster: Callable[..., str], fruits: str
) -> None:
    """The bucket of its progress is not there: that says nothing about the step."""
    step = featurize_step("no-such-bucket-at-all", "sleep 4")
    cluster_id = create_cluster(Steps=[step], LogUri=f"s3://{fruits}/logs/")
    wait_until(lambda: running_step(local_emr, cluster_id) is not None)
    work = running_step(local_emr, cluster_id)
    assert work is not None
    event = asyncio.run(first_event(trigger(cluster_id, work.step_id, tell=1, end=2)))
    assert event.payload["status"] == "success"


def sensor(cluster_id: str, step_id: str, fruits: str) -> StepSensor:
    return StepSensor(
        task_id="wait", job_flow_id=cluster_id, step_id=step_id, steps=[featurize_step(fruits)],
        tell_minutes="10", end_minutes="30", aws_conn_id=None, region_name=REGION,
    )  # fmt: skip


def test_the_task_of_a_step_that_was_given_up_fails_for_good_in_one_sentence(
    local_emr: EMRClient, create_cluster: Callable[..., str], fruits: str
) -> None:
    cluster_id, work = running(local_emr, create_cluster, fruits)
    event = {"status": STALLED, "message": "has not moved for 30 min 4 s; last seen: 3 of 9 images"}
    expected = rf"^step featurize of cluster {cluster_id} has not moved for 30 min 4 s.*end_stalled_minutes, 30 \(its"
    with pytest.raises(AirflowFailException, match=expected):
        sensor(cluster_id, work.step_id, fruits).execute_complete({}, event, work.step_id)


def test_a_step_that_ended_well_while_it_was_given_up_has_ended_well(
    local_emr: EMRClient, create_cluster: Callable[..., str], fruits: str
) -> None:
    cluster_id = create_cluster(Steps=[featurize_step(fruits, "true")], LogUri=f"s3://{fruits}/logs/")
    (step,) = local_emr.list_steps(ClusterId=cluster_id)["Steps"]
    wait_until(lambda: local_emr.list_steps(ClusterId=cluster_id)["Steps"][0]["Status"]["State"] == "COMPLETED")
    sensor(cluster_id, step["Id"], fruits).execute_complete({}, {"status": STALLED, "message": "x"}, step["Id"])


def test_the_reaper_ends_a_cluster_whose_step_stands_still_though_airflow_takes_its_run_for_alive(
    local_emr: EMRClient, create_cluster: Callable[..., str], store: S3Client, fruits: str
) -> None:
    """The waiting task is gone, and with it all that it knew: the reaper asks EMR and S3."""

    def tags(minutes: int) -> list[dict[str, str]]:
        end_by = datetime.now(UTC) + timedelta(hours=1)
        ours = cluster_tags(
            installation="verger", dag_id="d", run_id="alive", end_by=end_by, end_stalled_minutes=minutes
        )
        return [{"Key": key, "Value": value} for key, value in ours.items()]

    bounded, _ = running(local_emr, create_cluster, fruits, Tags=tags(20))
    unbounded, _ = running(local_emr, create_cluster, fruits, Tags=tags(0))
    deployment = Deployment(home=Path())
    judge = Judge(
        "verger", datetime.now(UTC), timedelta(0), lambda *_: 1, lambda *where: _find_stall(deployment, *where)
    )
    put(store, fruits, "runs/r/featurize.progress.json", {"phase": "compute", "idle_seconds": 60})
    assert reap(local_emr, REGION, judge)[0] == []
    # Its start is moved back by what its own progress says: an hour without work would need an hour.
    work = running_step(local_emr, bounded)
    assert work is not None
    old = StepWork(work.step_id, work.name, work.started - timedelta(hours=2), work.progress, work.written)
    put(store, fruits, "runs/r/featurize.progress.json", {"phase": "compute", "idle_seconds": 3600})
    judge = Judge(
        "verger",
        datetime.now(UTC),
        timedelta(0),
        lambda *_: 1,
        lambda *_: read_stall(store, old, read_progress(store, old.progress), timedelta(0)),
    )
    ended, problems = reap(local_emr, REGION, judge)
    assert (problems, [cluster.cluster_id for cluster in ended]) == ([], [bounded])
    assert "its step has not moved for 1 h 0 min" in ended[0].reason
    assert local_emr.describe_cluster(ClusterId=unbounded)["Cluster"]["Status"]["State"] == "RUNNING"

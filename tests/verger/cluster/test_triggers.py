"""The waits in the triggerer, on a local EMR."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger, TriggerEvent
from mypy_boto3_emr import EMRClient
from verger.cluster.triggers import ClusterReadyTrigger, StepProgressTrigger

POLL_SECONDS = 2
WAIT: Any = {"waiter_delay": POLL_SECONDS, "waiter_max_attempts": 20, "aws_conn_id": None, "region_name": "eu-west-1"}


async def first_event(trigger: BaseTrigger) -> TriggerEvent:
    return await anext(trigger.run())


def ready_cluster(cluster_id: str) -> BaseTrigger:
    return ClusterReadyTrigger(cluster_id, **WAIT)


def ended_step(cluster_id: str, emr: EMRClient) -> BaseTrigger:
    jar: Any = {"Jar": "command-runner.jar", "Args": ["true"]}
    step: Any = {"Name": "featurize", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
    (step_id,) = emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step])["StepIds"]
    emr.get_waiter("step_complete").wait(
        ClusterId=cluster_id, StepId=step_id, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    return StepProgressTrigger(tell_seconds=600, end_seconds=0, job_flow_id=cluster_id, step_id=step_id, **WAIT)


@pytest.mark.parametrize("kind", ["cluster", "step"])
def test_a_wait_for_what_has_been_reached_ends_well_but_not_before_its_worker_has_left(
    kind: str, local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    """Airflow takes a wait that ends earlier for a task that was killed."""
    cluster_id = create_cluster()
    trigger = ended_step(cluster_id, local_emr) if kind == "step" else ready_cluster(cluster_id)
    began = time.monotonic()
    event = asyncio.run(first_event(trigger))
    assert event.payload["status"] == "success"
    assert time.monotonic() - began >= POLL_SECONDS


def test_a_person_who_kills_the_wait_for_a_step_ends_the_step_and_not_its_cluster(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    """Even a step that ignores SIGTERM."""
    cluster_id = create_cluster()
    jar: Any = {"Jar": "command-runner.jar", "Args": ["bash", "-c", "trap '' TERM INT; while :; do sleep 1; done"]}
    step: Any = {"Name": "featurize", "ActionOnFailure": "TERMINATE_CLUSTER", "HadoopJarStep": jar}
    (step_id,) = local_emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step])["StepIds"]
    trigger = StepProgressTrigger(tell_seconds=600, end_seconds=0, job_flow_id=cluster_id, step_id=step_id, **WAIT)

    def state() -> str:
        return str(local_emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]["Status"]["State"])

    while state() != "RUNNING":
        time.sleep(0.1)
    asyncio.run(trigger.on_kill())
    while state() in ("RUNNING", "CANCEL_PENDING"):
        time.sleep(0.1)
    assert state() == "CANCELLED"
    assert local_emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"] == "WAITING"
    asyncio.run(trigger.on_kill())  # a step that has ended is no error

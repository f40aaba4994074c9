"""Tasks that are run again, on a local EMR: after a crash, and after a person has cleared them."""

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from mypy_boto3_emr import EMRClient
from verger.cluster.operators import AddStepOperator, ClusterReadySensor, StepSensor

REGION: Any = {"aws_conn_id": None, "region_name": "eu-west-1"}


def step(name: str = "featurize", script: str = "sleep 60") -> dict[str, Any]:
    jar = {"Jar": "command-runner.jar", "Args": ["bash", "-c", script]}
    return {"Name": name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}


def sensor(cluster_id: str, step_id: str) -> StepSensor:
    bounds: Any = {"tell_minutes": 10, "end_minutes": 30}
    return StepSensor(task_id="wait", job_flow_id=cluster_id, step_id=step_id, steps=[step()], **bounds, **REGION)


def add(cluster_id: str) -> AddStepOperator:
    return AddStepOperator(task_id="add", job_flow_id=cluster_id, steps=[step()], **REGION)


def names(emr: EMRClient, cluster_id: str) -> list[str]:
    return [found["Name"] for found in emr.list_steps(ClusterId=cluster_id)["Steps"]]


def test_a_sensor_that_was_cleared_adds_its_step_to_the_new_cluster_once(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    old, new = create_cluster(Name="try1"), create_cluster(Name="try2")
    (first,) = local_emr.add_job_flow_steps(JobFlowId=old, Steps=[step()])["StepIds"]  # type: ignore[list-item] # a dict
    assert sensor(old, first)._step_of_this_cluster() == first
    added = sensor(new, first)._step_of_this_cluster()
    assert added != first
    # Airflow may run it again, after a crash between the call and the wait.
    assert sensor(new, first)._step_of_this_cluster() == added
    assert names(local_emr, new) == ["featurize"]
    assert names(local_emr, old) == ["featurize"]


def test_a_step_is_added_to_a_cluster_that_still_starts(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    """A cleared task does not wait for the cluster to be ready again."""
    cluster = create_cluster()
    sensor(cluster, "s-OFANOTHERCLUSTER")._step_of_this_cluster()
    assert names(local_emr, cluster) == ["featurize"]


@pytest.mark.parametrize("again", [lambda cluster: sensor(cluster, "s-OLD")._step_of_this_cluster(),
                                   lambda cluster: add(cluster).execute({})])  # fmt: skip
def test_a_cluster_that_has_ended_takes_no_step_and_the_error_says_what_to_clear(
    local_emr: EMRClient, create_cluster: Callable[..., str], again: Callable[[str], Any]
) -> None:
    cluster = create_cluster()
    local_emr.terminate_job_flows(JobFlowIds=[cluster])
    with pytest.raises(AirflowFailException, match="clear this task together with its downstream tasks"):
        again(cluster)
    assert names(local_emr, cluster) == []


def test_a_cluster_that_has_ended_already_fails_its_wait_for_good(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    """Ten more tries would ask the same in vain, and the mail would come minutes late."""
    cluster = create_cluster()
    local_emr.terminate_job_flows(JobFlowIds=[cluster])
    with pytest.raises(AirflowFailException, match=f"cluster {cluster} did not become ready.*USER_REQUEST"):
        ClusterReadySensor(task_id="ready", job_flow_id=cluster, **REGION).execute({})

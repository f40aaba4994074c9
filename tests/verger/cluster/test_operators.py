"""Tasks that are run again, on a local EMR: after a crash, and after a person has cleared them."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError, WaiterError
from mypy_boto3_emr import EMRClient
from verger.cluster import operators, step_logs, tag_lag
from verger.cluster.clusters import find_named
from verger.cluster.operators import AddStepOperator, CreateClusterOperator, StepSensor
from verger.cluster.ready_sensor import ClusterReadySensor

from local_emr.control import FaultControl

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


# --- a new cluster, whose tags may lag -------------------------------------------------------------------------------


class TaskInstance:
    """What the provider's operators leave their links with."""

    def xcom_push(self, **_: Any) -> None:
        """Forget it."""


def create(name: str) -> CreateClusterOperator:
    flow = {
        "Name": name,
        "ReleaseLabel": "emr-spark-8.1.0",
        "LogUri": "s3://logs/emr",
        "ServiceRole": "service",
        "JobFlowRole": "nodes",
        "Instances": {"MasterInstanceType": "m6i.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
    }
    operator = CreateClusterOperator(task_id="create", job_flow_overrides=flow, emr_conn_id=None, **REGION)
    operator.dag = None
    return operator


def arm(endpoint: str, **fault: Any) -> None:
    FaultControl(endpoint, "testing", "testing").arm(fault)


def test_a_cluster_whose_tags_lag_is_created_once_and_shown_when_the_task_is_over(
    local_emr: EMRClient, local_emr_endpoint: str
) -> None:
    """The provider describes the cluster right after RunJobFlow, and so do the tasks that follow."""
    arm(local_emr_endpoint, fault="tags_lag", cluster="lagging", seconds=2)
    cluster_id = create("lagging").execute({"ti": TaskInstance()})  # type: ignore[typeddict-item] # all that is used
    assert cluster_id == find_named(local_emr, "lagging")
    described = local_emr.describe_cluster(ClusterId=str(cluster_id))
    assert described["Cluster"]["Name"] == "lagging"
    names = [cluster["Name"] for cluster in local_emr.list_clusters()["Clusters"]]
    assert names.count("lagging") == 1
    local_emr.terminate_job_flows(JobFlowIds=[str(cluster_id)])


def test_a_cluster_that_is_never_shown_is_one_clear_error_after_a_bounded_wait(
    local_emr: EMRClient, local_emr_endpoint: str
) -> None:
    arm(local_emr_endpoint, fault="tags_lag", cluster="hidden", seconds=3600)
    hidden = local_emr.run_job_flow(**create("hidden").job_flow_overrides)["JobFlowId"]  # type: ignore[arg-type]
    waits: list[float] = []
    with pytest.raises(tag_lag.NotShownError, match=f"{hidden} was made.*allow elasticmapreduce:DescribeCluster"):
        tag_lag.wait_until_shown(local_emr, hidden, sleep=waits.append)
    assert waits == list(tag_lag.PAUSES)


def test_what_may_not_be_created_is_refused_at_once(local_emr: EMRClient) -> None:
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "RunJobFlow")
    with pytest.raises(ClientError, match="RunJobFlow"), tag_lag.shown_later(lambda: None):
        raise denied
    with pytest.raises(ClientError, match="not valid"):
        tag_lag.wait_until_shown(local_emr, "j-GONE")


# --- ready, or not ---------------------------------------------------------------------------------------------------


def test_a_cluster_that_ended_cleanly_is_not_ready_though_the_provider_s_waiter_says_so(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    """No mail goes out then: it is the success of this task that sends it."""
    cluster = create_cluster()
    local_emr.terminate_job_flows(JobFlowIds=[cluster])
    wait_until_over(local_emr, cluster)
    ready = ClusterReadySensor(task_id="ready", job_flow_id=cluster, **REGION)
    with pytest.raises(AirflowFailException, match=f"cluster {cluster} did not become ready"):
        ready.execute_complete({"ti": TaskInstance()}, {"status": "success", "value": cluster})  # type: ignore[typeddict-item]


@pytest.mark.usefixtures("local_emr")
def test_a_cluster_that_works_already_is_ready(create_cluster: Callable[..., str]) -> None:
    cluster = create_cluster(Steps=[step()])
    ready = ClusterReadySensor(task_id="ready", job_flow_id=cluster, **REGION)
    ready.execute_complete({"ti": TaskInstance()}, {"status": "success", "value": cluster})  # type: ignore[typeddict-item]


def wait_until_over(emr: EMRClient, cluster: str) -> Any:
    """Its cluster, once it has ended."""
    emr.get_waiter("cluster_terminated").wait(ClusterId=cluster, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return emr.describe_cluster(ClusterId=cluster)["Cluster"]


def test_a_failed_bootstrap_action_shows_its_own_words(
    local_emr: EMRClient, create_cluster: Callable[..., str], tmp_path: Path
) -> None:
    s3 = boto3.client("s3", endpoint_url=local_emr.meta.endpoint_url, region_name="eu-west-1")
    s3.create_bucket(Bucket="emr-logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    script = tmp_path / "bootstrap.sh"
    script.write_text("#!/bin/bash\necho working >&2\necho 'bootstrap: error: no wheel of numpy' >&2\nexit 3\n")
    script.chmod(0o755)
    cluster = create_cluster(
        LogUri="s3://emr-logs/emr/",
        BootstrapActions=[{"Name": "ours", "ScriptBootstrapAction": {"Path": f"file://{script}"}}],
    )
    with pytest.raises(WaiterError):
        wait_until_over(local_emr, cluster)
    ready = ClusterReadySensor(task_id="ready", job_flow_id=cluster, log_seconds=60, poke_interval=1, **REGION)
    with pytest.raises(
        AirflowFailException, match=r"bootstrap action 1.*: bootstrap: error: no wheel of numpy \(its log"
    ):
        ready.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]


def test_a_bootstrap_action_whose_log_never_came_still_fails_with_emr_s_reason(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    """Its cluster stores its logs in a bucket that is not there."""
    cluster = create_cluster(
        LogUri="s3://no-such-logs/",
        BootstrapActions=[{"Name": "ours", "ScriptBootstrapAction": {"Path": "file:///bin/false"}}],
    )
    with pytest.raises(WaiterError):
        wait_until_over(local_emr, cluster)
    ready = ClusterReadySensor(task_id="ready", job_flow_id=cluster, log_seconds=1, poke_interval=1, **REGION)
    with pytest.raises(AirflowFailException, match=r"did not become ready.*bootstrap action 1"):
        ready.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]


def test_a_failed_step_is_told_at_once_and_then_its_log_is_waited_for(
    local_emr: EMRClient,
    create_cluster: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = create_cluster(LogUri="s3://no-such-logs/", Steps=[step(script="exit 7")])
    (found,) = local_emr.list_steps(ClusterId=cluster)["Steps"]
    with pytest.raises(WaiterError):
        local_emr.get_waiter("step_complete").wait(
            ClusterId=cluster, StepId=found["Id"], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
    waiting = StepSensor(
        task_id="wait",
        job_flow_id=cluster,
        step_id=found["Id"],
        steps=[step()],
        tell_minutes=10,
        end_minutes=0,
        log_seconds=2,
        poke_interval=1,
        **REGION,
    )
    said_before: list[str] = []

    def wait_and_note(*arguments: Any, **more: Any) -> list[str]:
        said_before.append(capsys.readouterr().out)
        return step_logs.wait_for_logs(*arguments, **more)

    monkeypatch.setattr(operators, "wait_for_logs", wait_and_note)
    with caplog.at_level(logging.INFO), pytest.raises(AirflowFailException, match="ended as FAILED"):
        waiting.execute({"ti": TaskInstance()})  # type: ignore[typeddict-item]
    assert "step featurize" in said_before[0]
    assert "ended as FAILED" in said_before[0]
    assert [line for line in caplog.messages if line.startswith("waiting up to 2 s for the end of the log at s3://")]

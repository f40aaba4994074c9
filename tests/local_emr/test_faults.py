"""A local EMR can be told to fail, and then fails as EMR does."""

from __future__ import annotations

import json
import time
import urllib.error
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, HTTPClientError
from hypothesis import given
from hypothesis import strategies as st

from local_emr.control import FaultControl
from local_emr.faults import Fault, FaultKind, Faults
from local_emr.faulty_calls import FAULTS_PATH
from tests.local_emr.conftest import ACCESS_KEY, OVER, REGION, SECRET_KEY, Lab, bash, is_alive, send, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_emr import EMRClient


def control(lab: Lab) -> FaultControl:
    """The control call."""
    return FaultControl(lab.endpoint, ACCESS_KEY, SECRET_KEY)


@pytest.fixture
def faulty(lab: Lab) -> Iterator[Lab]:
    """The local EMR, without faults before and after the test."""
    yield lab
    control(lab).clear()


def arm(lab: Lab, fault: str, **more: Any) -> None:
    control(lab).arm({"fault": fault, **more})


def struck(lab: Lab) -> list[int]:
    return [fault["struck"] for fault in control(lab).describe()]


@pytest.fixture
def once(lab: Lab) -> EMRClient:
    """A client that does not try again."""
    return boto3.client(
        "emr",
        endpoint_url=lab.endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_without_capacity_a_cluster_ends_as_emr_says_it_and_the_next_one_is_good(faulty: Lab) -> None:
    arm(faulty, "no_capacity")
    status = faulty.reach(faulty.start(bash("true"), keep=False), *OVER)
    assert (status["State"], status["StateChangeReason"]["Code"]) == ("TERMINATED_WITH_ERRORS", "INTERNAL_ERROR")
    assert "sufficient m7g.xlarge capacity" in status["StateChangeReason"]["Message"]
    assert "ReadyDateTime" not in status["Timeline"]
    assert faulty.reach(faulty.start(bash("true"), keep=False), *OVER)["State"] == "TERMINATED"


def test_a_failing_bootstrap_action_ends_its_cluster_and_leaves_its_words_in_the_log(faulty: Lab) -> None:
    script = faulty.put("good.sh", "#!/bin/sh\nexit 0\n")
    action = {"Name": "install", "ScriptBootstrapAction": {"Path": script, "Args": []}}
    arm(faulty, "bootstrap_failure", cluster="unlucky-*")
    ends = {}
    for name in ("lucky-1", "unlucky-1"):
        cluster_id = faulty.start(bash("true"), keep=False, Name=name, BootstrapActions=[action])
        ends[name] = faulty.reach(cluster_id, *OVER)["StateChangeReason"].get("Code")
    assert ends == {"lucky-1": "ALL_STEPS_COMPLETED", "unlucky-1": "BOOTSTRAP_FAILURE"}
    node = faulty.emr.list_instances(ClusterId=cluster_id)["Instances"][0]["Ec2InstanceId"]
    assert "told to fail" in faulty.log(cluster_id, f"node/{node}/bootstrap-actions/1/stderr")


def test_a_step_crashes_once_it_has_written_a_text(faulty: Lab) -> None:
    arm(faulty, "step_crash", step="second", after_output="half way")
    steps = [bash("echo half way; sleep 0.5", name="first"), bash("echo half way; sleep 60", name="second")]
    cluster_id = faulty.start(*steps)
    wait_until(lambda: faulty.step_states(cluster_id) == ["COMPLETED", "FAILED"])
    details = faulty.steps(cluster_id)[1]["Status"]["FailureDetails"]
    assert "signal 9" in details["Message"]
    assert "half way" in faulty.log(cluster_id, f"steps/{faulty.steps(cluster_id)[1]['Id']}/stdout")
    faulty.end(cluster_id)


def test_a_step_that_hangs_runs_for_ever_does_nothing_and_ends_with_its_cluster(faulty: Lab, tmp_path: Path) -> None:
    arm(faulty, "step_hang", after_output="beat 3")
    beats = tmp_path / "beats"
    script = f"echo $$ > {tmp_path}/pid; for i in $(seq 1 200); do echo beat $i | tee -a {beats}; sleep 0.1; done"
    cluster_id = faulty.start(bash(script))
    pid = faulty.pid_in(tmp_path / "pid")
    wait_until(lambda: beats.exists() and "beat 3" in beats.read_text())
    time.sleep(0.5)
    before = beats.read_text()
    time.sleep(0.5)
    assert beats.read_text() == before
    assert faulty.step_states(cluster_id) == ["RUNNING"]
    assert faulty.end(cluster_id)["State"] == "TERMINATED"
    assert not is_alive(pid)


def test_a_lost_node_takes_step_and_cluster_with_it(faulty: Lab, tmp_path: Path) -> None:
    arm(faulty, "node_lost", after_seconds=0.3)
    cluster_id = faulty.start(bash(f"echo $$ > {tmp_path}/pid; sleep 60"))
    status = faulty.reach(cluster_id, *OVER)
    assert (status["State"], status["StateChangeReason"]["Code"]) == ("TERMINATED_WITH_ERRORS", "INSTANCE_FAILURE")
    assert faulty.step_states(cluster_id) == ["INTERRUPTED"]
    wait_until(lambda: not is_alive(faulty.pid_in(tmp_path / "pid")))


def test_a_step_that_ends_before_its_fault_is_good(faulty: Lab) -> None:
    arm(faulty, "step_crash", after_output="never written")
    assert faulty.reach(faulty.start(bash("true"), keep=False), *OVER)["State"] == "TERMINATED"


def test_a_throttled_call_does_nothing_and_boto3_s_own_retries_come_through(faulty: Lab, once: EMRClient) -> None:
    arm(faulty, "api_throttled", operation="RunJobFlow", cluster="test")
    with pytest.raises(ClientError, match=r"ThrottlingException.*Rate exceeded"):
        once.run_job_flow(Name="test", Instances={}, ReleaseLabel="x")
    arm(faulty, "api_throttled", operation="Describe*", times=2)
    cluster_id = faulty.start()
    assert faulty.status(cluster_id)["State"]
    assert struck(faulty) == [1, 2]
    faulty.end(cluster_id)


def test_an_internal_error_is_500_and_strikes_one_cluster_alone(faulty: Lab, once: EMRClient) -> None:
    unlucky, lucky = faulty.start(), faulty.start()
    arm(faulty, "api_error", cluster=unlucky, times=2)
    assert once.describe_cluster(ClusterId=lucky)["Cluster"]["Id"] == lucky
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            once.terminate_job_flows(JobFlowIds=[lucky, unlucky])
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert not faulty.status(lucky)["State"].startswith("TERMINAT")
    once.terminate_job_flows(JobFlowIds=[lucky, unlucky])
    for cluster_id in (unlucky, lucky):
        faulty.reach(cluster_id, *OVER)


def test_a_call_that_names_no_cluster_has_only_the_faults_of_every_cluster(faulty: Lab, once: EMRClient) -> None:
    arm(faulty, "api_throttled", cluster="verger-*", operation="ListClusters")
    once.list_clusters()
    arm(faulty, "api_throttled", operation="ListClusters")
    with pytest.raises(ClientError, match="Rate exceeded"):
        once.list_clusters()


def test_a_lost_answer_leaves_a_cluster_that_nobody_was_told_of(faulty: Lab, once: EMRClient) -> None:
    arm(faulty, "answer_lost", operation="RunJobFlow")
    before = time.monotonic()
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        once.run_job_flow(
            Name="nobody-knows",
            ReleaseLabel="emr-spark-8.1.0",
            ServiceRole="x",
            JobFlowRole="x",
            Instances={"MasterInstanceType": "m7g.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True},
        )
    assert time.monotonic() - before < 50  # the client itself waits 60 s for an answer that is late
    (made,) = [found["Id"] for found in faulty.emr.list_clusters()["Clusters"] if found["Name"] == "nobody-knows"]
    faulty.end(made)


def test_a_slow_answer_comes_after_the_deed(faulty: Lab) -> None:
    arm(faulty, "answer_slow", operation="AddTags", seconds=0.5)
    cluster_id = faulty.start()
    before = time.monotonic()
    faulty.emr.add_tags(ResourceId=cluster_id, Tags=[{"Key": "a", "Value": "b"}])
    assert time.monotonic() - before >= 0.5
    faulty.end(cluster_id)


def test_a_cluster_whose_tags_lag_is_denied_to_its_maker_for_a_while(faulty: Lab, once: EMRClient) -> None:
    arm(faulty, "tags_lag", seconds=1, times=1)
    late, other = faulty.start(), faulty.start()
    for call in (once.describe_cluster, once.list_steps):
        with pytest.raises(ClientError, match="AccessDeniedException"):
            call(ClusterId=late)
    once.describe_cluster(ClusterId=other)
    assert late in {cluster["Id"] for cluster in once.list_clusters()["Clusters"]}, "ListClusters goes by no tags"
    wait_until(lambda: shown(once, late))
    for cluster_id in (late, other):
        faulty.end(cluster_id)


def shown(emr: EMRClient, cluster_id: str) -> bool:
    """Whether EMR lets itself be asked about a cluster."""
    try:
        emr.describe_cluster(ClusterId=cluster_id)
    except ClientError:
        return False
    return True


def test_a_slow_termination_is_terminating_for_that_long(faulty: Lab) -> None:
    cluster_id = faulty.start()
    faulty.reach(cluster_id, "WAITING")
    arm(faulty, "termination_slow", seconds=1)
    before = time.monotonic()
    faulty.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    assert faulty.status(cluster_id)["State"] == "TERMINATING"
    faulty.reach(cluster_id, *OVER)
    assert time.monotonic() - before >= 1


def test_a_lost_termination_is_accepted_and_nothing_ends(faulty: Lab) -> None:
    cluster_id = faulty.start()
    faulty.reach(cluster_id, "WAITING")
    arm(faulty, "termination_lost")
    faulty.emr.terminate_job_flows(JobFlowIds=[cluster_id])
    time.sleep(0.3)
    assert faulty.status(cluster_id)["State"] == "WAITING"
    assert faulty.end(cluster_id)["State"] == "TERMINATED"


def test_faults_are_told_and_taken_away(faulty: Lab) -> None:
    control(faulty).arm({"fault": "no_capacity"}, {"fault": "step_hang", "step": "pca", "times": 3})
    told = control(faulty).describe()
    assert [(fault["fault"], fault["step"], fault["times"], fault["struck"]) for fault in told] == [
        ("no_capacity", "*", 1, 0),
        ("step_hang", "pca", 3, 0),
    ]
    control(faulty).clear()
    assert control(faulty).describe() == []


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"fault": "no_power"}, "no_power"),
        ({}, "fault is None"),
        ({"fault": "no_capacity", "clusters": "*"}, "clusters"),
        ({"fault": "no_capacity", "times": 0}, "times is 0"),
        ({"fault": "no_capacity", "times": "2"}, "times is '2'"),
        ({"fault": "no_capacity", "times": True}, "times is True"),
        ({"fault": "no_capacity", "step": "pca"}, "step means nothing for no_capacity"),
        ({"fault": "step_hang", "operation": "RunJobFlow"}, "operation means nothing for step_hang"),
        ({"fault": "step_hang", "after_seconds": -1}, "after_seconds is -1"),
        ({"fault": "termination_slow"}, "seconds is 0"),
        ({"fault": "tags_lag"}, "seconds is 0"),
        ({"fault": "api_error", "seconds": 3}, "seconds is 3"),
        ("no_capacity", "'no_capacity' is no object"),
    ],
)
def test_a_fault_that_would_not_strike_as_asked_is_one_clear_error(faulty: Lab, asked: Any, named: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        control(faulty).arm({"fault": "no_capacity"}, asked)
    assert caught.value.code == 400
    assert named in json.load(caught.value)["error"]
    assert control(faulty).describe() == [], "one of several is wrong: none is armed"


def test_what_is_no_json_or_another_method_is_refused(faulty: Lab) -> None:
    for method, data, code in (("POST", b"{", 400), ("PUT", b"{}", 405)):
        answer = send(faulty.endpoint, method, FAULTS_PATH, data)
        assert answer.status_code == code
        assert answer.json()["error"]


@given(times=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_faults_strike_in_their_order_each_as_often_as_asked(times: list[int]) -> None:
    faults = Faults()
    faults.arm(
        Fault(FaultKind.STEP_CRASH, times=count, after_seconds=float(place)) for place, count in enumerate(times)
    )
    struck = []
    while fault := faults.take(FaultKind.STEP_CRASH, clusters=["j-1"], step="pca"):
        struck.append(fault.after_seconds)
    assert struck == [float(place) for place, count in enumerate(times) for _ in range(count)]


def test_a_node_that_a_bootstrap_action_switches_off_in_a_while_goes_away_with_its_cluster(
    faulty: Lab, tmp_path: Path
) -> None:
    """A minute takes 0.6 s here; `sudo` and `shutdown` are the node's own, never this machine's."""
    script = faulty.put("off.sh", "#!/bin/sh\nsudo shutdown -h +1\n")
    action = {"Name": "off", "ScriptBootstrapAction": {"Path": script, "Args": []}}
    cluster_id = faulty.start(bash(f"echo $$ > {tmp_path}/pid; sleep 60"), BootstrapActions=[action])
    status = faulty.reach(cluster_id, *OVER)
    assert (status["State"], status["StateChangeReason"]["Code"]) == ("TERMINATED_WITH_ERRORS", "INSTANCE_FAILURE")
    wait_until(lambda: not is_alive(faulty.pid_in(tmp_path / "pid")))


@pytest.mark.parametrize("words", ["-h soon", "-r +1", "", "-h +1 bye"])
def test_a_node_s_shutdown_knows_no_other_form(faulty: Lab, words: str) -> None:
    cluster_id = faulty.start(bash(f"shutdown {words}"))
    wait_until(lambda: faulty.step_states(cluster_id) == ["FAILED"])
    assert "shutdown: " in faulty.steps(cluster_id)[0]["Status"]["FailureDetails"]["Message"]
    faulty.end(cluster_id)

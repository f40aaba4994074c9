"""Steps as a user of EMR's API sees them; each is a real process."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.local_emr.conftest import BUCKET, OVER, bash, is_alive, wait_until

if TYPE_CHECKING:
    from tests.local_emr.conftest import Lab


def wait_for_steps(lab: Lab, cluster: str, *states: str) -> None:
    wait_until(lambda: lab.step_states(cluster) == list(states))


def test_steps_run_one_after_the_other_in_their_order(lab: Lab) -> None:
    cluster = lab.start(*(bash("echo $EMR_STEP_ID >> $HOME/order", name=f"step {n}") for n in range(3)))
    last = lab.add(cluster, bash("cat $HOME/order", name="last"))[0]
    lab.reach(cluster, "WAITING")
    steps = lab.steps(cluster)
    assert [step["Name"] for step in steps] == ["step 0", "step 1", "step 2", "last"]
    assert lab.log(cluster, f"steps/{last}/stdout").split() == [step["Id"] for step in steps[:3]]
    for earlier, later in pairwise(steps):
        assert earlier["Status"]["Timeline"]["EndDateTime"] <= later["Status"]["Timeline"]["StartDateTime"]
    described = lab.emr.describe_step(ClusterId=cluster, StepId=last)["Step"]
    assert described["Config"]["Args"] == ["bash", "-c", "cat $HOME/order"]
    assert described["Status"]["Timeline"].keys() == {"CreationDateTime", "StartDateTime", "EndDateTime"}
    lab.end(cluster)


def test_as_many_steps_run_at_once_as_the_concurrency_allows(lab: Lab) -> None:
    cluster = lab.start(*[bash("sleep 600")] * 3, StepConcurrencyLevel=2)
    wait_for_steps(lab, cluster, "RUNNING", "RUNNING", "PENDING")
    lab.emr.modify_cluster(ClusterId=cluster, StepConcurrencyLevel=3)
    wait_for_steps(lab, cluster, "RUNNING", "RUNNING", "RUNNING")
    lab.end(cluster)
    assert lab.step_states(cluster) == ["CANCELLED"] * 3


def test_a_failed_step_tells_why_and_where_its_log_is(lab: Lab) -> None:
    cluster = lab.start(bash("echo started; echo 'ValueError: k=5000 is too large' >&2; exit 2"))
    lab.reach(cluster, "WAITING")
    step = lab.steps(cluster)[0]
    assert step["Status"]["State"] == "FAILED"
    details = step["Status"]["FailureDetails"]
    place = f"steps/{step['Id']}"
    assert details["Message"] == "ValueError: k=5000 is too large"
    assert details["LogFile"] == f"s3://{BUCKET}/logs/{cluster}/{place}/stderr.gz"
    assert lab.log(cluster, f"{place}/stderr") == "ValueError: k=5000 is too large\n"
    assert lab.log(cluster, f"{place}/stdout") == "started\n"
    assert "ended with exit code 2" in lab.log(cluster, f"{place}/controller")
    lab.end(cluster)


def test_a_failed_step_ends_the_cluster_when_it_is_to(lab: Lab) -> None:
    cluster = lab.start(bash("exit 1", "TERMINATE_CLUSTER"), bash("true"))
    ended = lab.reach(cluster, *OVER)
    assert ended["State"] == "TERMINATED_WITH_ERRORS"
    assert ended["StateChangeReason"] == {"Code": "STEP_FAILURE", "Message": "Shut down as step failed"}
    assert lab.step_states(cluster) == ["FAILED", "CANCELLED"]


def test_a_failed_step_cancels_the_others_when_it_is_to(lab: Lab) -> None:
    cluster = lab.start(bash("exit 1", "CANCEL_AND_WAIT"), bash("true"))
    assert lab.reach(cluster, "WAITING")["StateChangeReason"]["Message"] == "Cluster ready after last step failed."
    assert lab.step_states(cluster) == ["FAILED", "CANCELLED"]
    lab.end(cluster)


def test_a_failed_step_stops_nothing_when_it_is_to_continue(lab: Lab) -> None:
    cluster = lab.start(bash("exit 1", "CONTINUE"), bash("true"))
    lab.reach(cluster, "WAITING")
    assert lab.step_states(cluster) == ["FAILED", "COMPLETED"]
    lab.end(cluster)


def test_terminating_the_cluster_ends_the_steps_whole_process_tree(lab: Lab, tmp_path: Path) -> None:
    script = f"trap '' TERM; (setsid sleep 600 & echo $! > {tmp_path}/child; wait) & echo $$ > {tmp_path}/pid; wait"
    cluster = lab.start(bash(script), bash("true"))
    pids = [lab.pid_in(tmp_path / "pid"), lab.pid_in(tmp_path / "child")]
    assert all(map(is_alive, pids))
    lab.end(cluster)
    assert not any(map(is_alive, pids))
    assert lab.step_states(cluster) == ["CANCELLED", "CANCELLED"]


def test_a_cancelled_pending_step_never_runs(lab: Lab, tmp_path: Path) -> None:
    cluster = lab.start(bash("sleep 600"), bash(f"touch {tmp_path}/ran"))
    wait_for_steps(lab, cluster, "RUNNING", "PENDING")
    pending = lab.steps(cluster)[1]["Id"]
    info = lab.emr.cancel_steps(ClusterId=cluster, StepIds=[pending])["CancelStepsInfoList"]
    assert info == [{"StepId": pending, "Status": "SUBMITTED"}]
    assert lab.step_states(cluster) == ["RUNNING", "CANCELLED"]
    lab.end(cluster)
    assert not (tmp_path / "ran").exists()


def test_an_interrupted_step_may_clean_up_and_the_cluster_goes_on(lab: Lab, tmp_path: Path) -> None:
    script = f"trap 'echo cleaned up; exit 0' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.02; done"
    cluster = lab.start(bash(script, "TERMINATE_CLUSTER"), bash("true"))
    lab.pid_in(tmp_path / "pid")
    step = lab.steps(cluster)[0]["Id"]
    lab.emr.cancel_steps(ClusterId=cluster, StepIds=[step])
    lab.reach(cluster, "WAITING")
    assert lab.step_states(cluster) == ["CANCELLED", "COMPLETED"]
    assert lab.log(cluster, f"steps/{step}/stdout") == "cleaned up\n"
    lab.end(cluster)


def test_a_step_that_ignores_the_interrupt_can_be_killed(lab: Lab, tmp_path: Path) -> None:
    script = f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.02; done"
    cluster = lab.start(bash(script))
    pid = lab.pid_in(tmp_path / "pid")
    step = lab.steps(cluster)[0]["Id"]
    lab.emr.cancel_steps(ClusterId=cluster, StepIds=[step], StepCancellationOption="SEND_INTERRUPT")
    time.sleep(0.1)
    assert (lab.step_states(cluster), is_alive(pid)) == (["CANCEL_PENDING"], True)
    lab.emr.cancel_steps(ClusterId=cluster, StepIds=[step], StepCancellationOption="TERMINATE_PROCESS")
    wait_for_steps(lab, cluster, "CANCELLED")
    assert not is_alive(pid)
    assert lab.emr.cancel_steps(ClusterId=cluster, StepIds=[step])["CancelStepsInfoList"][0]["Status"] == "FAILED"
    lab.end(cluster)


def test_the_log_of_a_running_step_can_be_read(lab: Lab) -> None:
    cluster = lab.start(bash("echo 10 of 100 >&2; sleep 600"))
    wait_until(lambda: bool(lab.steps(cluster)))
    step = lab.steps(cluster)[0]["Id"]
    wait_until(lambda: lab.log(cluster, f"steps/{step}/stderr") == "10 of 100\n")
    assert lab.step_states(cluster) == ["RUNNING"]
    lab.end(cluster)


@pytest.mark.parametrize(
    ("jar", "args", "message"),
    [
        ("command-runner.jar", ["s3-dist-cp", "--src=x"], "'s3-dist-cp' is not offered locally"),
        ("command-runner.jar", ["/opt/no/such/program"], "No such file"),
        ("command-runner.jar", ["spark-submit", "job.py"], "without Spark"),
        ("script-runner.jar", [f"s3://{BUCKET}/no/such/script"], "could not be downloaded"),
    ],
)
def test_a_step_that_cannot_be_run_fails_and_says_so(lab: Lab, jar: str, args: list[str], message: str) -> None:
    step: dict[str, Any] = {"Name": "x", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": jar, "Args": args}}
    cluster = lab.start(step)
    lab.reach(cluster, "WAITING")
    status = lab.steps(cluster)[0]["Status"]
    assert status["State"] == "FAILED"
    assert message in status["FailureDetails"]["Message"]
    place = status["FailureDetails"]["LogFile"].partition(f"{cluster}/")[2].removesuffix(".gz")
    assert message in lab.log(cluster, place)
    lab.end(cluster)


def test_the_environment_of_a_step_is_made_for_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    tools = "sudo -E -u root true && python3 -m venv --without-pip $HOME/v && $HOME/v/bin/python -c 'import json'"
    cluster = lab.start(bash("env"), bash(tools))
    lab.reach(cluster, "WAITING")
    assert lab.step_states(cluster) == ["COMPLETED", "COMPLETED"]
    env = dict(line.split("=", 1) for line in lab.log(cluster, f"steps/{lab.steps(cluster)[0]['Id']}/stdout").split())
    assert "SECRET_OF_THE_SERVER" not in env
    assert (env["EMR_CLUSTER_ID"], env["AWS_REGION"]) == (cluster, "eu-west-1")
    assert env["AWS_ENDPOINT_URL_S3"] == lab.endpoint
    assert env["HOME"].startswith(env["LOCAL_EMR_NODE_ROOT"])
    assert Path(env["HOME"]).is_dir()
    lab.end(cluster)
    assert not Path(env["LOCAL_EMR_NODE_ROOT"]).exists()


def test_steps_are_listed_by_state_and_id_and_in_pages(lab: Lab) -> None:
    cluster = lab.start(bash("exit 1"), bash("sleep 600"))
    lab.add(cluster, *[bash("true")] * 120)
    wait_until(lambda: lab.emr.list_steps(ClusterId=cluster, StepStates=["FAILED"])["Steps"] != [])
    failed = lab.emr.list_steps(ClusterId=cluster, StepStates=["FAILED"])["Steps"]
    assert len(failed) == 1
    by_id = lab.emr.list_steps(ClusterId=cluster, StepIds=[failed[0]["Id"]])["Steps"]
    assert [step["Id"] for step in by_id] == [failed[0]["Id"]]
    pages = list(lab.emr.get_paginator("list_steps").paginate(ClusterId=cluster))
    assert [len(page["Steps"]) for page in pages] == [50, 50, 22]
    ids = [step["Id"] for page in pages for step in page["Steps"]]
    assert len(set(ids)) == 122
    assert ids[-1] == failed[0]["Id"]
    with pytest.raises(ClientError, match="Maximum number of steps"):
        lab.add(cluster, *[bash("true")] * 136)
    lab.end(cluster)


@pytest.mark.parametrize(
    "step", [bash("true", "TERMINATE_CLUSTER"), bash("true", "CANCEL_AND_WAIT"), bash("true", "TERMINATE_JOB_FLOW")]
)
def test_a_step_that_would_touch_others_is_refused_where_several_run_at_once(lab: Lab, step: dict[str, Any]) -> None:
    cluster = lab.start(StepConcurrencyLevel=2)
    with pytest.raises(ClientError, match="is not valid with a step concurrency level of 2"):
        lab.add(cluster, step)
    lab.end(cluster)


def test_a_cluster_that_has_ended_takes_no_steps(lab: Lab) -> None:
    cluster = lab.start()
    lab.end(cluster)
    with pytest.raises(ClientError, match="may not be modified") as refused:
        lab.add(cluster, bash("true"))
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match="Step id 's-NONE' is not valid"):
        lab.emr.describe_step(ClusterId=cluster, StepId="s-NONE")

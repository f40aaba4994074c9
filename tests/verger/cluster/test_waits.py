"""What the operators conclude from EMR's answers."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from botocore.exceptions import ClientError
from mypy_boto3_emr import EMRClient
from verger.cluster.clusters import find_steps
from verger.cluster.operators import check_is_over, emr_s_reason, known_to_emr

STEP_ENDS = ("COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED")


def test_a_wait_that_an_ailing_api_cut_off_is_to_be_taken_up_again() -> None:
    with pytest.raises(AirflowException, match="cut off while EMR's state was RUNNING: InternalServerException"):
        check_is_over("RUNNING", STEP_ENDS, {"status": "error", "message": "InternalServerException"})
    with pytest.raises(AirflowException, match="cut off"):
        check_is_over("PENDING", STEP_ENDS, None)


@pytest.mark.parametrize("state", STEP_ENDS)
def test_what_has_ended_is_over_whatever_ended_the_wait(state: str) -> None:
    check_is_over(state, STEP_ENDS, {"status": "error", "message": "InternalServerException"})


def test_a_wait_that_took_all_its_time_is_over_though_the_step_goes_on() -> None:
    check_is_over("RUNNING", STEP_ENDS, {"status": "error", "message": "Waiter error: max attempts reached"})


def test_the_reason_is_the_step_s_own_and_then_its_cluster_s() -> None:
    failed = {"FailureDetails": {"Reason": "Unknown Error.", "Message": "exit code 1"}, "StateChangeReason": {}}
    ended = {"StateChangeReason": {"Code": "STEP_FAILURE", "Message": "Shut down as step failed"}}
    assert emr_s_reason(failed, ended) == "exit code 1; Shut down as step failed"
    lost = {"StateChangeReason": {"Message": "i-1 was terminated unexpectedly"}}
    assert emr_s_reason(lost, lost) == "i-1 was terminated unexpectedly"
    assert emr_s_reason({"FailureDetails": {"Reason": "Illegal Argument"}}, {}) == "Illegal Argument"
    assert emr_s_reason({}, {"StateChangeReason": {}}) == "it gave no reason"


def test_a_step_is_found_by_its_name_whatever_it_does_unless_it_failed(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    cluster_id = create_cluster()
    assert find_steps(local_emr, cluster_id, {"featurize"}) is None
    jar: Any = {"Jar": "command-runner.jar", "Args": ["sleep", "60"]}
    step: Any = {"Name": "featurize", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
    (step_id,) = local_emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step])["StepIds"]
    assert find_steps(local_emr, cluster_id, {"featurize"}) == [step_id]
    assert find_steps(local_emr, cluster_id, {"pca"}) is None
    local_emr.cancel_steps(ClusterId=cluster_id, StepIds=[step_id], StepCancellationOption="TERMINATE_PROCESS")
    deadline = time.monotonic() + 300
    while find_steps(local_emr, cluster_id, {"featurize"}) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_cluster_that_emr_does_not_know_is_asked_for_once(local_emr: EMRClient) -> None:
    with pytest.raises(AirflowFailException, match="j-0UNKNOWN"), known_to_emr():
        local_emr.describe_step(ClusterId="j-0UNKNOWN", StepId="s-0UNKNOWN")


def test_a_throttled_call_is_worth_another_try() -> None:
    with pytest.raises(ClientError, match="Throttling"), known_to_emr():
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "DescribeStep")

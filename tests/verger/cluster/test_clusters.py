"""A run's clusters are found by the leased name, and all of them ended."""

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_emr import EMRClient
from verger.cluster.clusters import (
    ClusterAliveError,
    allow_ending,
    find_leased,
    find_named,
    is_leased_by,
    lease_name,
    run_lease,
    terminate_leased,
)
from verger.run.deployment import INSTALLATION_NAME
from verger_rules.layout import run_slug

LEASE = run_lease("fruits", run_slug("manual__2026-11-21T10:00:00+00:00"))


@pytest.fixture
def emr(aws: str) -> EMRClient:
    return boto3.client("emr", endpoint_url=aws, region_name="eu-west-1")


def create(emr: EMRClient, name: str) -> str:
    answer = emr.run_job_flow(
        Name=name,
        Instances={"InstanceCount": 1, "MasterInstanceType": "m6i.xlarge", "KeepJobFlowAliveWhenNoSteps": True},
    )
    return answer["JobFlowId"]


@given(st.text(), st.integers(1, 99), st.text())
def test_a_lease_belongs_to_its_own_run_alone(run_id: str, attempt: int, other: str) -> None:
    name = lease_name(run_lease("fruits", run_slug(run_id)), attempt)
    assert is_leased_by(name, run_lease("fruits", run_slug(run_id)))
    assert is_leased_by(name, run_lease("fruits", run_slug(other))) == (run_id == other)
    assert len(name) <= 256 or len(run_id) > 200  # EMR's limit


@given(st.from_regex(INSTALLATION_NAME, fullmatch=True), st.from_regex(INSTALLATION_NAME, fullmatch=True), st.text())
def test_two_installations_whose_schedule_is_the_same_leave_each_other_s_clusters_alone(
    ours: str, theirs: str, run_id: str
) -> None:
    """Airflow names a scheduled run after its time alone."""
    name = lease_name(run_lease(theirs, run_slug(run_id)), 1)
    assert is_leased_by(name, run_lease(ours, run_slug(run_id))) == (ours == theirs)


def test_every_cluster_of_the_run_is_ended_and_no_other(emr: EMRClient) -> None:
    ours = {create(emr, lease_name(LEASE, attempt)) for attempt in (1, 1, 2)}
    other = create(emr, lease_name(run_lease("fruits", run_slug("another")), 1))
    assert set(find_leased(emr, LEASE)) == ours
    assert set(terminate_leased(emr, LEASE, poll_seconds=0, patience_seconds=5)) == ours
    assert find_leased(emr, LEASE) == []
    assert emr.describe_cluster(ClusterId=other)["Cluster"]["Status"]["State"] == "WAITING"
    assert terminate_leased(emr, LEASE, poll_seconds=0, patience_seconds=5) == []


def test_a_cluster_that_somebody_protected_is_ended_all_the_same(emr: EMRClient) -> None:
    cluster = create(emr, lease_name(LEASE, 3))
    emr.set_termination_protection(JobFlowIds=[cluster], TerminationProtected=True)
    assert terminate_leased(emr, LEASE, poll_seconds=0, patience_seconds=5) == [cluster]


def test_a_cluster_that_does_not_end_is_an_error_that_names_it(emr: EMRClient) -> None:
    cluster = create(emr, lease_name(LEASE, 4))
    ticks = iter([0.0, 1.0, 2.0])
    with pytest.raises(ClusterAliveError, match=cluster):
        terminate_leased(
            emr, LEASE, poll_seconds=0, patience_seconds=-1, sleep=lambda _: None, clock=lambda: next(ticks)
        )
    terminate_leased(emr, LEASE, poll_seconds=0, patience_seconds=5)


def test_a_cluster_is_taken_again_by_its_exact_name_while_it_takes_steps(emr: EMRClient) -> None:
    cluster = create(emr, lease_name(LEASE, 5))
    assert find_named(emr, lease_name(LEASE, 5)) == cluster
    assert find_named(emr, lease_name(LEASE, 50)) is None
    emr.terminate_job_flows(JobFlowIds=[cluster])
    assert find_named(emr, lease_name(LEASE, 5)) is None


@pytest.mark.parametrize(
    ("code", "state", "is_refused"),
    [
        ("ValidationException", "TERMINATING", False),
        ("ValidationException", "TERMINATED_WITH_ERRORS", False),
        ("ValidationException", "WAITING", True),
        ("AccessDeniedException", "TERMINATING", True),
    ],
)
def test_a_cluster_that_is_ending_already_needs_no_leave_to_end(
    emr: EMRClient, code: str, state: str, *, is_refused: bool
) -> None:
    """EMR refuses to change one that is shutting down, which takes it minutes: a teardown meets it at every look."""
    with Stubber(emr) as answers:
        answers.add_client_error("set_termination_protection", code)
        answers.add_response("describe_cluster", {"Cluster": {"Status": {"State": state}}})
        if is_refused:
            with pytest.raises(ClientError, match=code):
                allow_ending(emr, "j-1")
        else:
            allow_ending(emr, "j-1")

"""The reaper ends what is too old or left alone, and nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_emr import EMRClient
from verger.cluster.reaping import CountAliveRuns, FindStall, Judge, ReapingError, check_problems, reap, reap_regions
from verger.cluster.stall import Sign, Stall
from verger.cluster.tags import END_BY_TAG, FALLBACK_HOURS, OwnCluster, cluster_tags, own_cluster

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CLUSTER = OwnCluster(
    cluster_id="j-1",
    name="verger-x-try1",
    state="RUNNING",
    created_at=NOW - timedelta(hours=1),
    installation="verger",
    dag_id="fruits_features",
    run_id="manual__1",
    end_by=NOW + timedelta(hours=1),
)


GRACE = timedelta(minutes=10)


def judge(
    count_alive_runs: CountAliveRuns = lambda *_: 1, now: datetime = NOW, find_stall: FindStall = lambda *_: None
) -> Judge:
    return Judge("verger", now, GRACE, count_alive_runs, find_stall)


def decide(cluster: OwnCluster, alive: int | None, still_minutes: float | None = None) -> str | None:
    stall = None
    if still_minutes is not None:
        lasts = timedelta(minutes=still_minutes)
        stall = Stall(Sign(NOW - lasts, "3 of 9 images"), lasts)
    return judge(lambda *_: alive, find_stall=lambda *_: stall).reason_to_end(cluster, "eu-west-1")


def test_a_cluster_whose_step_stands_still_goes_once_its_run_has_had_the_time_to_give_it_up() -> None:
    bounded = replace(CLUSTER, end_stalled_minutes=30)
    for alive in (1, None):
        assert decide(bounded, alive, 39.9) is None
        assert "has not moved for 40 min 0 s" in str(decide(bounded, alive, 40))
    assert decide(bounded, 1) is None, "what cannot be read says nothing"
    assert decide(replace(bounded, end_stalled_minutes=0), 1, 999) is None
    assert decide(replace(bounded, installation="elsewhere"), 1, 999) is None
    assert decide(replace(bounded, state="WAITING"), 1, 999) is None


def test_a_cluster_whose_run_is_alive_stays_until_its_time_is_up() -> None:
    assert decide(CLUSTER, 1) is None
    assert "to be over by 2026-11-21 12:00 UTC" in str(decide(replace(CLUSTER, end_by=NOW), 1))


def test_a_cluster_whose_run_is_over_or_gone_has_to_go() -> None:
    assert "manual__1 of fruits_features is over" in str(decide(CLUSTER, 0))


def test_a_cluster_stays_when_airflow_cannot_tell_about_its_run() -> None:
    assert decide(CLUSTER, None) is None
    assert decide(replace(CLUSTER, end_by=NOW), None) is not None


def test_a_run_that_has_just_ended_may_end_its_cluster_itself() -> None:
    assert decide(replace(CLUSTER, created_at=NOW - GRACE + timedelta(seconds=1)), 0) is None
    assert decide(replace(CLUSTER, created_at=NOW - GRACE), 0) is not None


def test_another_installation_s_cluster_is_ended_for_its_age_only() -> None:
    other = replace(CLUSTER, installation="elsewhere")
    assert decide(other, 0) is None
    assert decide(replace(other, end_by=NOW - timedelta(minutes=1)), 0) is not None


@given(
    created=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- bounds
    lifetime=st.timedeltas(timedelta(0), timedelta(days=2)),
    value=st.one_of(st.none(), st.text(max_size=30), st.just("2026-11-21T10:00:00")),
)
def test_a_cluster_s_limit_is_read_back_and_there_always_is_one(
    created: datetime, lifetime: timedelta, value: str | None
) -> None:
    tags = cluster_tags(installation="v", dag_id="d", run_id="r", end_by=created + lifetime)
    if value is not None:
        tags[END_BY_TAG] = value
    described = {
        "Id": "j-1",
        "Name": "n",
        "Status": {"State": "WAITING", "Timeline": {"CreationDateTime": created}},
        "Tags": [{"Key": key, "Value": text} for key, text in tags.items()],
    }
    found = own_cluster(described)
    assert found is not None
    assert found.end_by.tzinfo is not None
    if value is None:
        assert abs(found.end_by - (created + lifetime)) < timedelta(seconds=1)
    elif value == "":
        assert found.end_by == created + timedelta(hours=FALLBACK_HOURS)


def tags_of(run_id: str, *, hours: float = 1) -> list[dict[str, str]]:
    end_by = datetime.now(UTC) + timedelta(hours=hours)
    tags = cluster_tags(installation="verger", dag_id="fruits_features", run_id=run_id, end_by=end_by)
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def state(emr: EMRClient, cluster_id: str) -> str:
    return emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"]


def test_in_a_real_account_only_ours_that_have_to_go_are_ended(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    foreign = create_cluster(Name="somebody-elses", Tags=[{"Key": "application", "Value": "other"}])
    untagged = create_cluster(Name="verger-looks-like-ours-try1")
    alive = create_cluster(Name="alive", Tags=tags_of("alive"))
    old = create_cluster(Name="old", Tags=tags_of("alive", hours=-1))
    over = create_cluster(Name="over", Tags=tags_of("over"))
    local_emr.set_termination_protection(JobFlowIds=[over], TerminationProtected=True)
    later = datetime.now(UTC) + GRACE
    decider = judge(lambda _, run_id: int(run_id == "alive"), later)
    ended, problems = reap(local_emr, "eu-west-1", decider)
    assert problems == []
    assert {cluster.cluster_id for cluster in ended} == {old, over}
    assert {state(local_emr, cluster) for cluster in (old, over)} <= {"TERMINATING", "TERMINATED"}
    for cluster in (foreign, untagged, alive):
        assert state(local_emr, cluster) not in {"TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"}
    again, _ = reap(local_emr, "eu-west-1", decider)
    assert again == []


def region_client(answers: dict[str, str], working: EMRClient) -> Callable[[str], Any]:
    """Clients of which some fail as AWS does for a region that is not open, or has a fault."""

    def client(region: str) -> EMRClient:
        if region in answers:
            raise ClientError({"Error": {"Code": answers[region], "Message": "no"}}, "ListClusters")
        return working

    return client


def test_a_region_that_the_account_has_not_opened_is_passed_over(local_emr: EMRClient) -> None:
    _, problems = reap_regions(
        ["eu-south-1", "eu-west-1"],
        "eu-west-1",
        region_client({"eu-south-1": "UnrecognizedClientException"}, local_emr),
        judge(),
    )
    assert problems == []


@pytest.mark.parametrize(
    ("region", "code"), [("eu-west-1", "AccessDeniedException"), ("eu-south-1", "InternalServerException")]
)
def test_what_cannot_be_looked_at_makes_the_task_fail_after_the_others_were_seen_to(
    local_emr: EMRClient, region: str, code: str
) -> None:
    _, problems = reap_regions(
        ["eu-west-1", "eu-south-1", "eu-west-3"],
        "eu-west-1",
        region_client({region: code}, local_emr),
        judge(),
    )
    with pytest.raises(ReapingError, match=f"{region} could not be looked at"):
        check_problems(problems)


def client_without(cluster_id: str, code: str) -> EMRClient:
    """A client whose look at one cluster is answered with an error."""
    guarded: EMRClient = boto3.client("emr", region_name="eu-west-1")

    def deny(params: dict[str, Any], **_: object) -> None:
        if params["ClusterId"] == cluster_id:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeCluster")

    guarded.meta.events.register("provide-client-params.emr.DescribeCluster", deny)
    return guarded


@pytest.mark.parametrize("unseen", range(3))
def test_a_cluster_that_cannot_be_looked_at_is_told_and_all_others_are_seen_to(
    create_cluster: Callable[..., str], unseen: int
) -> None:
    clusters = [create_cluster(Tags=tags_of("over")) for _ in range(3)]
    throttled = client_without(clusters[unseen], "ThrottlingException")
    ended, problems = reap(throttled, "eu-west-1", judge(lambda *_: 0, datetime.now(UTC) + GRACE))
    others = set(clusters) - {clusters[unseen]}
    assert others <= {cluster.cluster_id for cluster in ended}
    with pytest.raises(ReapingError, match=f"{clusters[unseen]} in eu-west-1 could not be looked at"):
        check_problems(problems)


def test_a_cluster_that_our_role_may_not_see_is_not_ours(
    local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    seen = create_cluster(Tags=tags_of("over"))
    hidden = create_cluster(Tags=tags_of("over"))
    later = datetime.now(UTC) + GRACE
    guarded = client_without(hidden, "AccessDeniedException")
    ended, problems = reap(guarded, "eu-west-1", judge(lambda *_: 0, later))
    assert seen in {cluster.cluster_id for cluster in ended}
    assert state(local_emr, hidden) != "TERMINATED"
    assert hidden not in {cluster.cluster_id for cluster in ended}
    assert problems == []

"""What the tasks of a run's cluster decide by themselves."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_emr import EMRClient
from mypy_boto3_s3 import S3Client
from verger import place_tasks
from verger.cluster.clusters import lease_name, run_lease
from verger.cluster_tasks import hidden_failure, terminate_cluster
from verger.place_tasks import choose_place
from verger.run.deployment import Deployment
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout
from verger_rules.layout import run_slug

if TYPE_CHECKING:
    from airflow.sdk import Context

STATES = st.sampled_from(["success", "failed", "skipped", "upstream_failed", None])


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (
            {"wait_for_featurize": "failed", "add_pca_step": "skipped", "publish_results": "skipped"},
            "wait_for_featurize",
        ),
        ({"wait_for_featurize": "failed", "publish_results": "upstream_failed"}, None),
        ({"plan_run": "success", "create_cluster": "skipped", "publish_results": "skipped"}, None),
        ({"publish_results": "success", "hold_cluster": "failed"}, None),
        ({"publish_results": "success", "terminate_cluster": "failed"}, "could not be ended"),
        ({}, None),
    ],
    ids=[
        "marked failed",
        "failed by itself",
        "nothing new",
        "only the hold failed",
        "the cluster may be alive",
        "nothing is known",
    ],
)
def test_a_failure_that_airflow_would_not_see_is_told(states: dict[str, str | None], told: str | None) -> None:
    found = hidden_failure(states)
    assert (found is None) == (told is None)
    assert (told or "") in (found or "")


@given(st.dictionaries(st.sampled_from(["publish_results", "terminate_cluster", "plan_run", "hold_cluster"]), STATES))
def test_a_run_without_a_failed_task_has_not_failed(states: dict[str, str | None]) -> None:
    assert hidden_failure(states) is None or "failed" in states.values()


def history_of(price: str) -> Mapping[str, Any]:
    change = {"InstanceType": "m6i.xlarge", "AvailabilityZone": "eu-west-1a", "SpotPrice": price}
    return {"SpotPriceHistory": [change | {"Timestamp": datetime(2026, 11, 1, tzinfo=UTC)}]}


def refuse() -> Mapping[str, Any]:
    raise ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": ""}}, "DescribeSpotPriceHistory")


@pytest.mark.parametrize(
    ("answer", "source", "machine"),
    [(lambda: history_of("0.0500"), "history", 0.05), (refuse, "typical share", 0.6 * 0.214)],
    ids=["EC2 tells", "EC2 refuses"],
)
def test_the_estimate_of_a_run_takes_the_real_spot_price_where_ec2_tells_it(
    monkeypatch: pytest.MonkeyPatch,
    s3: S3Client,
    bucket: str,
    tmp_path: Path,
    answer: Callable[[], Mapping[str, Any]],
    source: str,
    machine: float,
) -> None:
    class Ec2:
        def describe_spot_price_history(self, **_: Any) -> Mapping[str, Any]:
            return answer()

    monkeypatch.setattr(place_tasks, "s3_client", lambda *_: s3)
    monkeypatch.setattr(place_tasks, "spot_price_client", lambda *_: Ec2())
    context = cast("Any", {"params": {"bucket": bucket, "region": "eu-west-1"}, "run_id": "manual__1"})
    plan = {"todo": 10**6, "listed": 10**6, "bytes_todo": 10**11}
    chosen = choose_place(Deployment(home=tmp_path), context, plan)
    assert chosen["estimate"]["spot_prices"] == source
    hours = {line["market"]: line["usd_hour"] for line in chosen["estimate"]["nodes"]}
    assert hours["ON_DEMAND"] - hours["SPOT"] == pytest.approx(0.214 - machine)


@pytest.mark.parametrize(
    "params",
    [
        {"region": "eu-west-1"},
        {"region": "eu-west-1", "components": 3},
        {"region": "eu-west-1", "bucket": None, "images_prefix": "../", "k": "ten", "spot_share": [1]},
        {"region": ["eu-west-1"], "bucket": 5},
        {},
    ],
    ids=["little", "an unknown key", "nonsense", "no usable region", "nothing"],
)
def test_the_teardown_needs_nothing_but_to_know_where_the_cluster_is(
    params: dict[str, Any], local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    run_id = f"manual__{len(params)}{params.get('k', '')}"
    cluster_id = create_cluster(Name=lease_name(run_lease("verger", run_slug(run_id)), 1))
    context: Any = {"params": params, "run_id": run_id}
    assert terminate_cluster(Deployment(Path(), poll_seconds=1), context) == [cluster_id]
    state = local_emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"]
    assert state == "TERMINATED"


def test_the_estimate_takes_the_cluster_s_start_and_end_from_the_account_s_answers_and_the_log_says_which(
    s3: S3Client, bucket: str, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = cast("Context", {"params": {"bucket": bucket, "region": "eu-west-1"}, "run_id": "manual"})
    plan: dict[str, Any] = {"todo": 100, "listed": 100, "bytes_todo": 500_000}

    def minutes() -> float:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            estimate = choose_place(Deployment(home=project), context, plan)["estimate"]
        return float(estimate["minutes"])

    assumed = minutes()
    assert "starts in 8.0 and ends in 2.0 min: assumed" in caplog.text
    times = {"startup_minutes": 5.0, "ending_minutes": 4.0}
    answers = {"local": False, "finished_at": "2026-11-27T10:00:00+00:00", "cluster_times": times}
    write_json(s3, BucketLayout(bucket).acceptance, answers)
    assert minutes() == pytest.approx(assumed - 1)
    assert "starts in 5.0 and ends in 4.0 min: start and end measured on 2026-11-27" in caplog.text

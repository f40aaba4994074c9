"""What the tasks that end a run decide by themselves."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.cluster_tasks import choose_cluster, hidden_failure
from verger.run.deployment import Deployment
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout

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


def test_the_estimate_takes_the_cluster_s_start_and_end_from_the_account_s_answers_and_the_log_says_which(
    s3: S3Client, bucket: str, project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = cast("Context", {"params": {"bucket": bucket, "region": "eu-west-1"}, "run_id": "manual"})
    plan: dict[str, Any] = {"todo": 100, "listed": 100, "bytes_todo": 500_000}

    def minutes() -> float:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            estimate = choose_cluster(Deployment(home=project), context, plan)["estimate"]
        return float(estimate["minutes"])

    assumed = minutes()
    assert "starts in 8.0 and ends in 2.0 min: assumed" in caplog.text
    times = {"startup_minutes": 5.0, "ending_minutes": 4.0}
    answers = {"local": False, "finished_at": "2026-11-27T10:00:00+00:00", "cluster_times": times}
    write_json(s3, BucketLayout(bucket).acceptance, answers)
    assert minutes() == pytest.approx(assumed - 1)
    assert "starts in 5.0 and ends in 4.0 min: start and end measured on 2026-11-27" in caplog.text

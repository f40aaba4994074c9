"""What the tasks that end a run decide by themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.cluster_tasks import hidden_failure

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

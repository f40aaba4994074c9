"""What the tasks that end a run decide by themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_emr import EMRClient
from verger.cluster.clusters import lease_name, run_lease
from verger.cluster_tasks import hidden_failure, terminate_cluster
from verger.run.deployment import Deployment
from verger.storage.layout import run_slug

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

"""The table of faults of docs/operations.md, as far as EMR's own are concerned: the real DAG under each of them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fault_rows import (
    arm,
    assert_ended_well,
    assert_no_cluster_alive,
    run_clusters,
    struck,
)
from tests.e2e.installation import Verger, draw
from tools.local_run.run_view import RunView

pytestmark = [pytest.mark.e2e, pytest.mark.spark, pytest.mark.faults]

IMAGES = 12


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"), IMAGES)


def run(verger: Verger, pictures: Path) -> RunView:
    """A run that has work to do, whatever has been done before."""
    return verger.run(source=str(pictures), k=2, max_reject_rate=1, force=True)


@dataclass(frozen=True)
class FailingRow:
    """A fault that a run cannot survive: the task that fails, its words, and EMR's code of the cluster's end."""

    fault: dict[str, Any]
    failed_task: str
    words: str
    code: str


#: Before a step has begun: quick.
EARLY = [
    pytest.param(
        FailingRow({"fault": "no_capacity"}, "wait_for_cluster", "sufficient m6i.xlarge capacity", "INTERNAL_ERROR"),
        id="no capacity",
        marks=[pytest.mark.long],
    ),
    pytest.param(
        # The words are those of the action's own stderr.
        FailingRow({"fault": "bootstrap_failure"}, "wait_for_cluster", "it was told to fail", "BOOTSTRAP_FAILURE"),
        id="bootstrap failure",
    ),
]
MIDDLE = "images listed"
#: In the middle of a step: each with a good run after it.
LATE = [
    pytest.param(
        FailingRow(
            {"fault": "step_crash", "step": "featurize", "after_output": MIDDLE},
            "wait_for_featurize", "signal 9", "STEP_FAILURE",
        ),
        id="featurize crashes",
    ),
    pytest.param(
        FailingRow(
            {"fault": "step_crash", "step": "pca", "after_seconds": 4}, "wait_for_pca", "signal 9", "STEP_FAILURE"
        ),
        id="pca crashes",
    ),
    pytest.param(
        FailingRow(
            {"fault": "node_lost", "step": "featurize", "after_output": MIDDLE},
            "wait_for_featurize", "terminated unexpectedly", "INSTANCE_FAILURE",
        ),
        id="the node is lost",
    ),
]  # fmt: skip


def check_failing_row(verger: Verger, pictures: Path, row: FailingRow) -> None:
    before = verger.latest()
    arm(verger, row.fault)
    view = run(verger, pictures)
    assert struck(verger) == {row.fault["fault"]: 1}
    assert (view.state, view.failed_task) == ("failed", row.failed_task), view
    assert row.words in view.tasks[row.failed_task].error
    assert view.tasks["terminate_cluster"].state == "success"
    (cluster,) = run_clusters(verger, view.run_id)
    assert cluster["Status"]["State"] == "TERMINATED_WITH_ERRORS"
    assert cluster["Status"]["StateChangeReason"]["Code"] == row.code
    assert_no_cluster_alive(verger)
    assert verger.latest() == before
    assert verger.metrics(view, "cost.json")["outcome"] == "failed"


@pytest.mark.parametrize("row", EARLY)
def test_a_cluster_that_does_not_come_up_fails_the_run_with_emr_s_reason(
    verger: Verger, pictures: Path, row: FailingRow
) -> None:
    check_failing_row(verger, pictures, row)


def test_a_run_survives_an_api_that_fails_wherever_it_can_and_the_faults_before_have_left_nothing(
    verger: Verger, pictures: Path
) -> None:
    """RunJobFlow throttled, then answered with 500, then its answer lost; every other call throttled or failing."""
    arm(
        verger,
        {"fault": "api_throttled", "operation": "RunJobFlow"},
        {"fault": "api_error", "operation": "RunJobFlow"},
        {"fault": "answer_lost", "operation": "RunJobFlow"},
        {"fault": "tags_lag", "seconds": 2},
        {"fault": "api_throttled", "operation": "ListClusters", "times": 2},
        {"fault": "answer_lost", "operation": "AddJobFlowSteps"},
        {"fault": "api_error", "operation": "Describe*", "times": 3},
        {"fault": "api_throttled", "operation": "DescribeStep", "times": 4},
        {"fault": "termination_lost"},
        {"fault": "api_error", "operation": "TerminateJobFlows"},
        {"fault": "termination_slow", "seconds": 3},
    )
    view = run(verger, pictures)
    assert struck(verger) == {
        "api_throttled": 7, "api_error": 5, "answer_lost": 2, "tags_lag": 1, "termination_lost": 1,
        "termination_slow": 1,
    }  # fmt: skip
    assert_ended_well(verger, view, IMAGES)
    (cluster,) = run_clusters(verger, view.run_id)
    assert cluster["Status"]["StateChangeReason"]["Code"] == "USER_REQUEST"
    steps = verger.stack.emr().list_steps(ClusterId=cluster["Id"])["Steps"]
    assert [step["Name"] for step in steps] == ["pca", "featurize"], "a step whose answer was lost is not added twice"


def test_a_subnet_that_does_not_exist_is_one_clear_error_before_anything_is_created(verger: Verger) -> None:
    here = replace(verger, variables={"AWS_ENDPOINT_URL_EC2": verger.stack.emr_url})
    before = len(verger.clusters())
    view = here.run(subnet_id="subnet-0123456789abcdef0")
    assert (view.state, view.failed_task) == ("failed", "check_settings"), view
    assert "'subnet-0123456789abcdef0' is not in eu-west-1" in view.tasks["check_settings"].error
    assert len(verger.clusters()) == before


@pytest.mark.long
@pytest.mark.parametrize("row", LATE)
def test_a_step_that_does_not_end_well_fails_the_run_and_the_next_run_is_good(
    verger: Verger, pictures: Path, row: FailingRow
) -> None:
    check_failing_row(verger, pictures, row)
    assert_ended_well(verger, run(verger, pictures), IMAGES)


@pytest.mark.long
def test_an_api_that_throttles_for_longer_than_the_client_tries_again(verger: Verger, pictures: Path) -> None:
    """Forty refusals in a row are more than boto3's own attempts: the task is tried again."""
    arm(verger, {"fault": "api_throttled", "operation": "DescribeStep", "times": 40})
    view = run(verger, pictures)
    assert_ended_well(verger, view, IMAGES)
    assert struck(verger) == {"api_throttled": 40}


@pytest.mark.long
def test_a_termination_that_fails_for_longer_is_tried_again_until_it_is_done(verger: Verger, pictures: Path) -> None:
    """Ten answers of 500 in a row are more than boto3's own attempts: the teardown is tried again."""
    arm(verger, {"fault": "api_error", "operation": "TerminateJobFlows", "times": 10})
    view = run(verger, pictures)
    assert struck(verger) == {"api_error": 10}
    assert view.tasks["terminate_cluster"].attempt > 1
    assert_ended_well(verger, view, IMAGES)

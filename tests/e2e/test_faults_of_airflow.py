"""The rest of the table of faults: a person or a crash interferes with a real Airflow, and no cluster survives it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from verger.cluster.tags import END_BY_TAG

from tests.e2e import airflow_world
from tests.e2e.airflow_world import SCHEDULER_AND_WORKERS, Airflow
from tests.e2e.fault_rows import (
    arm,
    assert_no_cluster_alive,
    assert_published_whole,
    run_clusters,
    struck,
    wait_until,
)
from tests.e2e.installation import Verger, draw, installed
from tools.local_run.airflow_services import SERVICES

pytestmark = [
    pytest.mark.e2e, pytest.mark.spark, pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(1200),
]  # fmt: skip

IMAGES = 12
#: A minute of EMR's idle time-out and of a node's own clock takes three seconds here.
TIME_SCALE = 0.05
#: The step has begun its work, and does nothing more: as long as the test needs it to be in the middle.
HANGS = {"fault": "step_hang", "step": "featurize", "after_output": "images listed"}


@pytest.fixture(scope="module")
def verger(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verger]:
    with installed(project, tmp_path_factory.mktemp("verger"), TIME_SCALE) as verger:
        yield verger


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"), IMAGES)


@pytest.fixture(scope="module")
def airflow(verger: Verger) -> Iterator[Airflow]:
    with airflow_world.running(verger) as services:
        yield services


def start_run(airflow: Airflow, pictures: Path, *faults: dict[str, Any], **more: Any) -> str:
    """Start a run that has work to do, under these faults."""
    arm(airflow.verger, *faults)
    wanted = {"idle_minutes": 120, "max_cluster_hours": 48, **more}
    return airflow.trigger(source=str(pictures), k=2, max_reject_rate=1, force=True, **wanted)


def wait_until_hanging(airflow: Airflow, run_id: str) -> None:
    wait_until(lambda: struck(airflow.verger).get("step_hang") == 1, 300, "the step is in its middle")
    airflow.reach(run_id, lambda tasks: tasks["wait_for_featurize"] == "deferred", "waits for featurize")


def assert_next_run_is_good(airflow: Airflow, pictures: Path) -> None:
    run_id = start_run(airflow, pictures)
    assert airflow.finish(run_id) == "success", airflow.tasks(run_id)
    assert_no_cluster_alive(airflow.verger)
    assert_published_whole(airflow.verger, run_id, IMAGES)


def assert_ended_without_results(airflow: Airflow, run_id: str, latest: dict[str, Any] | None) -> None:
    """The run failed, its teardown ended its cluster, and readers see what they saw before."""
    assert airflow.finish(run_id) == "failed"
    tasks = airflow.tasks(run_id)
    assert tasks["terminate_cluster"] == "success", tasks
    assert tasks["publish_results"] != "success"
    (cluster,) = run_clusters(airflow.verger, run_id)
    assert cluster["Status"]["State"] == "TERMINATED"
    assert_no_cluster_alive(airflow.verger)
    assert airflow.verger.latest() == latest


def test_a_task_marked_failed(airflow: Airflow, pictures: Path) -> None:
    before = airflow.verger.latest()
    run_id = start_run(airflow, pictures, HANGS)
    wait_until_hanging(airflow, run_id)
    airflow.mark_task(run_id, "wait_for_featurize", "failed")
    assert_ended_without_results(airflow, run_id, before)
    assert_next_run_is_good(airflow, pictures)


def test_a_task_marked_failed_with_what_follows_it_the_teardown_as_well(airflow: Airflow, pictures: Path) -> None:
    """Airflow marks the teardown too (apache/airflow#68184): the trigger cancels the step, EMR ends the cluster."""
    before = airflow.verger.latest()
    run_id = start_run(airflow, pictures, HANGS, idle_minutes=10)
    wait_until_hanging(airflow, run_id)
    airflow.mark_task(run_id, "wait_for_featurize", "failed", downstream=True)
    assert airflow.finish(run_id) == "failed"
    (cluster,) = run_clusters(airflow.verger, run_id)
    emr = airflow.verger.stack.emr()
    wait_until(
        lambda: emr.describe_cluster(ClusterId=cluster["Id"])["Cluster"]["Status"]["State"] == "TERMINATED",
        120 + 10 * 60 * TIME_SCALE,
        "the cluster ends though its teardown was marked",
    )
    (step,) = emr.list_steps(ClusterId=cluster["Id"])["Steps"]
    assert step["Status"]["State"] == "CANCELLED"
    assert_no_cluster_alive(airflow.verger)
    assert airflow.verger.latest() == before
    assert_next_run_is_good(airflow, pictures)


def test_a_triggerer_that_gives_signs_of_life_and_runs_nothing(airflow: Airflow, pictures: Path) -> None:
    """Only what runs its triggers stands still (apache/airflow#65945): the run goes on when they do, and not twice."""
    run_id = start_run(airflow, pictures)
    airflow.reach(run_id, lambda tasks: tasks["wait_for_featurize"] == "deferred", "waits for featurize")
    go_on = airflow.pause_below("triggerer")
    try:
        (cluster,) = run_clusters(airflow.verger, run_id)
        emr = airflow.verger.stack.emr()
        wait_until(
            lambda: emr.list_steps(ClusterId=cluster["Id"])["Steps"][0]["Status"]["State"] == "COMPLETED",
            240,
            "the step is done",
        )
        # Two minutes in which a triggerer that is well would have told it many times: nobody may have gone on.
        time.sleep(120)
        assert airflow.tasks(run_id)["wait_for_featurize"] == "deferred"
    finally:
        go_on()
    assert airflow.finish(run_id) == "success", airflow.tasks(run_id)
    steps = airflow.verger.stack.emr().list_steps(ClusterId=cluster["Id"])["Steps"]
    assert [step["Name"] for step in steps] == ["pca", "featurize"]
    assert_no_cluster_alive(airflow.verger)
    assert_published_whole(airflow.verger, run_id, IMAGES)


def test_a_create_task_that_dies_alone_when_the_cluster_is_made_and_before_it_could_say_so(
    airflow: Airflow, pictures: Path
) -> None:
    """As when the API server answers 409 to its heartbeat (apache/airflow#67272): EMR has it, XCom does not."""
    before = airflow.verger.latest()
    run_id = start_run(airflow, pictures, {"fault": "answer_slow", "operation": "RunJobFlow", "seconds": 30})
    wait_until(lambda: run_clusters(airflow.verger, run_id), 240, "the cluster exists", pause=0.2)
    assert airflow.tasks(run_id)["create_cluster"] == "running"
    airflow.mark_task(run_id, "create_cluster", "failed")
    assert airflow.finish(run_id) == "failed", airflow.tasks(run_id)
    wait_until(
        lambda: all(c["Status"]["State"].startswith("TERMINATED") for c in run_clusters(airflow.verger, run_id)),
        240,
        "the cluster that XCom does not know ends",
    )
    assert len(run_clusters(airflow.verger, run_id)) == 1
    assert airflow.tasks(run_id)["terminate_cluster"] == "success"
    assert_no_cluster_alive(airflow.verger)
    assert airflow.verger.latest() == before
    assert_next_run_is_good(airflow, pictures)


def test_a_run_marked_failed(airflow: Airflow, pictures: Path) -> None:
    before = airflow.verger.latest()
    run_id = start_run(airflow, pictures, HANGS)
    wait_until_hanging(airflow, run_id)
    airflow.mark_run(run_id, "failed")
    wait_until(
        lambda: airflow.tasks(run_id)["terminate_cluster"] == "success", 240, "the teardown of a run marked failed"
    )
    assert_ended_without_results(airflow, run_id, before)
    assert_next_run_is_good(airflow, pictures)


def test_a_task_cleared_in_the_middle(airflow: Airflow, pictures: Path) -> None:
    """Airflow runs the setups again as well: a second cluster, whose name is another; both end with the run."""
    run_id = start_run(airflow, pictures, HANGS)
    wait_until_hanging(airflow, run_id)
    airflow.clear_task(run_id, "add_featurize_step")
    assert airflow.finish(run_id) == "success", airflow.tasks(run_id)
    clusters = run_clusters(airflow.verger, run_id)
    assert len(clusters) == 2
    assert len({cluster["Name"] for cluster in clusters}) == 2
    assert_no_cluster_alive(airflow.verger)
    assert_published_whole(airflow.verger, run_id, IMAGES)


def test_scheduler_and_workers_killed_during_create(airflow: Airflow, pictures: Path) -> None:
    """They die when EMR has made the cluster and has not answered yet; the task that runs again takes that cluster."""
    slow = {"fault": "answer_slow", "operation": "RunJobFlow", "seconds": 20}
    run_id = start_run(airflow, pictures, slow)
    wait_until(lambda: run_clusters(airflow.verger, run_id), 240, "the cluster exists", pause=0.2)
    assert airflow.tasks(run_id)["create_cluster"] == "running"
    airflow.kill(*SCHEDULER_AND_WORKERS)
    airflow.start(*SCHEDULER_AND_WORKERS)
    assert airflow.finish(run_id) == "success", airflow.tasks(run_id)
    (cluster,) = run_clusters(airflow.verger, run_id)
    assert cluster["Status"]["State"] == "TERMINATED"
    assert_published_whole(airflow.verger, run_id, IMAGES)


def test_scheduler_and_workers_killed_during_featurize(airflow: Airflow, pictures: Path) -> None:
    """The step goes on; whoever comes back finds it where it is."""
    run_id = start_run(airflow, pictures)
    airflow.reach(run_id, lambda tasks: tasks["wait_for_featurize"] == "deferred", "waits for featurize")
    airflow.kill(*SCHEDULER_AND_WORKERS)
    airflow.start(*SCHEDULER_AND_WORKERS)
    assert airflow.finish(run_id) == "success", airflow.tasks(run_id)
    (cluster,) = run_clusters(airflow.verger, run_id)
    steps = airflow.verger.stack.emr().list_steps(ClusterId=cluster["Id"])["Steps"]
    assert [step["Name"] for step in steps] == ["pca", "featurize"]
    assert_no_cluster_alive(airflow.verger)
    assert_published_whole(airflow.verger, run_id, IMAGES)


def test_scheduler_and_workers_killed_during_terminate(airflow: Airflow, pictures: Path) -> None:
    run_id = start_run(airflow, pictures, {"fault": "termination_slow", "seconds": 25})
    airflow.reach(run_id, lambda tasks: tasks["terminate_cluster"] == "running", "ends its cluster", seconds=300)
    wait_until(
        lambda: run_clusters(airflow.verger, run_id)[0]["Status"]["State"] == "TERMINATING", 30, "the cluster is ending"
    )
    airflow.kill(*SCHEDULER_AND_WORKERS)
    airflow.start(*SCHEDULER_AND_WORKERS)
    assert airflow.finish(run_id) == "success", airflow.tasks(run_id)
    assert airflow.tasks(run_id)["terminate_cluster"] == "success"
    assert_no_cluster_alive(airflow.verger)
    assert_published_whole(airflow.verger, run_id, IMAGES)


def test_a_step_that_hangs_is_given_up_by_its_run(airflow: Airflow, pictures: Path) -> None:
    """Its waiting task fails when nothing has moved for long enough; the teardown ends its cluster."""
    before = airflow.verger.latest()
    run_id = start_run(airflow, pictures, HANGS, stalled_minutes=1, end_stalled_minutes=2)
    wait_until_hanging(airflow, run_id)
    assert_ended_without_results(airflow, run_id, before)
    assert airflow.tasks(run_id)["wait_for_featurize"] == "failed"
    assert_next_run_is_good(airflow, pictures)


def test_a_step_that_hangs_is_ended_by_the_reaper_when_the_cluster_s_time_is_up(
    airflow: Airflow, pictures: Path
) -> None:
    """The hours that the cluster may live are made to pass by setting its tag back."""
    before = airflow.verger.latest()
    run_id = start_run(airflow, pictures, HANGS)
    wait_until_hanging(airflow, run_id)
    (cluster,) = run_clusters(airflow.verger, run_id)
    past = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="seconds")
    airflow.verger.stack.emr().add_tags(ResourceId=cluster["Id"], Tags=[{"Key": END_BY_TAG, "Value": past}])
    assert airflow.finish(airflow.trigger("reap_clusters"), dag="reap_clusters") == "success"
    assert_ended_without_results(airflow, run_id, before)
    assert airflow.tasks(run_id)["wait_for_featurize"] == "failed"
    assert_next_run_is_good(airflow, pictures)


def assert_ends_without_airflow(airflow: Airflow, run_id: str, seconds: float, why: str) -> None:
    """Kill Airflow for good; its run's cluster ends all the same, and Airflow, brought back, finds the run failed."""
    before = airflow.verger.latest()
    airflow.kill(*SERVICES)
    (cluster,) = run_clusters(airflow.verger, run_id)
    assert cluster["Status"]["State"] in ("RUNNING", "WAITING")
    emr = airflow.verger.stack.emr()

    def end() -> str | None:
        status = emr.describe_cluster(ClusterId=cluster["Id"])["Cluster"]["Status"]
        return status["StateChangeReason"]["Message"] if status["State"].startswith("TERMINATED") else None

    assert why in wait_until(end, seconds, "the cluster ends without Airflow")
    assert airflow.verger.latest() == before
    airflow.start(*SERVICES)
    assert airflow.finish(run_id) == "failed", "its cluster is gone, and the run says so"
    assert airflow.verger.latest() == before


def test_airflow_stopped_for_good(airflow: Airflow, pictures: Path) -> None:
    """EMR itself ends the cluster when its step is done and nobody gives it another: after `idle_minutes`."""
    run_id = start_run(airflow, pictures, idle_minutes=10)
    airflow.reach(run_id, lambda tasks: tasks["wait_for_featurize"] == "deferred", "waits for featurize")
    assert_ends_without_airflow(airflow, run_id, 90 + 10 * 60 * TIME_SCALE, "auto-termination")
    assert_next_run_is_good(airflow, pictures)


def test_airflow_stopped_for_good_while_a_step_hangs(airflow: Airflow, pictures: Path) -> None:
    """A hanging step is never idle: the nodes end by their own clock, a while after the reaper would have ended them.

    The budget allows this cluster some 21 min; the nodes have 15 more, and a minute takes three seconds here.
    """
    run_id = start_run(airflow, pictures, HANGS, budget_usd=0.2)
    wait_until_hanging(airflow, run_id)
    assert_ends_without_airflow(airflow, run_id, 60 + 45 * 60 * TIME_SCALE, "terminated unexpectedly")
    assert_next_run_is_good(airflow, pictures)

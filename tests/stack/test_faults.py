"""Parts of the stack are killed in the middle of a run: it goes on, or fails cleanly, and no cluster is left.

A process is killed from outside, by the kernel's id, so that the engine starts the container again by its own rules.
"""

import time
from pathlib import Path

import pytest

from tests.e2e.installation import draw
from tests.stack.compose_project import wait_for
from tests.stack.conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2400)]

RUN_SECONDS = 600
WELL_SECONDS = 400
#: How a run may end whose part was killed while the featurize step was under way. The local EMR takes its cluster with
#: it, as AWS would when it loses one; S3 may be away for longer than the step's own patience.
ENDINGS = {
    "scheduler": {"success"},
    "postgres": {"success"},
    "s3": {"success", "failed"},
    "local-emr": {"failed"},
}
#: A minute each, and the same way back as the scheduler's.
RARELY = {"postgres", "s3"}


@pytest.mark.parametrize(
    "service", [pytest.param(name, marks=[pytest.mark.long] if name in RARELY else []) for name in ENDINGS]
)
def test_a_killed_part_comes_back_and_the_run_ends_cleanly(stack: Stack, service: str) -> None:
    draw(stack.pictures, 4, seed=1000 + list(ENDINGS).index(service))
    run_id = stack.api.trigger(k=2, compute="cluster")
    stack.api.wait_for_task(run_id, "wait_for_featurize", {"running", "deferred"}, RUN_SECONDS)
    killed = stack.compose.kill(service)
    ended = stack.api.wait_for_end(run_id, RUN_SECONDS)
    assert ended in ENDINGS[service], stack.api.tasks(run_id)
    stack.compose.wait_until_well(WELL_SECONDS)
    container = stack.compose.containers()[service]
    assert container["Id"] == killed
    assert container["RestartCount"] >= 1, "the engine itself has started it again"
    assert stack.alive() == []


def test_after_the_faults_a_run_takes_what_was_committed_and_ends_well(stack: Stack) -> None:
    run_id = stack.api.trigger(k=2, compute="cluster")
    assert stack.api.wait_for_end(run_id, RUN_SECONDS) == "success", stack.api.tasks(run_id)
    latest = stack.read_json("results/latest.json")
    assert latest
    assert stack.alive() == []


def drop(stack: Stack, folder: Path, label: str, seed: int) -> None:
    """Put two new pictures into the bucket, as a person would."""
    for picture in sorted(draw(folder / label, 2, seed=seed).rglob("*.jpg")):
        key = f"images/{label} {picture.parent.name}/{picture.name}"
        stack.s3.put_object(Bucket="verger", Key=key, Body=picture.read_bytes())


def listed(stack: Stack) -> int:
    """How many pictures the results that readers see were made of."""
    latest = stack.read_json("results/latest.json")
    run = latest and stack.read_json(f"{latest['results_uri'].removeprefix('s3://verger/').rstrip('/')}/run.json")
    return int(run["counts"]["listed"]) if run else 0


def at_rest(stack: Stack) -> bool:
    return all(run["state"] in {"success", "failed"} for run in stack.api.runs())


def test_pictures_that_come_again_and_again_during_a_run_are_all_in_the_results(stack: Stack, tmp_path: Path) -> None:
    """One run at a time, so that the events of several changes wait (apache/airflow#56050); none may be lost."""
    wait_for(lambda: at_rest(stack), RUN_SECONDS)
    drop(stack, tmp_path, "first", 2001)
    wait_for(lambda: not at_rest(stack), 180, lambda: "no run started")
    for number in range(3):
        drop(stack, tmp_path, f"during {number}", 2010 + number)
        time.sleep(12)  # longer than the watcher needs to see a change and to let it come to rest
    wait_for(lambda: at_rest(stack) and listed(stack) == stack.stored(), 3 * RUN_SECONDS, lambda: f"{listed(stack)}")
    assert stack.alive() == []


def test_two_schedulers_start_one_run_for_one_change(stack: Stack, tmp_path: Path) -> None:
    """Both see the event of the same asset (apache/airflow#63507)."""
    wait_for(lambda: at_rest(stack), RUN_SECONDS)
    stack.compose.run("up", "--detach", "--no-recreate", "--scale", "scheduler=2", "scheduler")
    try:
        before = len(stack.api.runs())
        drop(stack, tmp_path, "for two", 3001)
        wait_for(lambda: len(stack.api.runs()) > before, 180, lambda: "no run started")
        wait_for(lambda: at_rest(stack) and listed(stack) == stack.stored(), RUN_SECONDS)
        time.sleep(20)  # longer than either scheduler needs to start another
        assert len(stack.api.runs()) == before + 1
        assert stack.alive() == []
    finally:
        stack.compose.run("up", "--detach", "--no-recreate", "--scale", "scheduler=1", "scheduler")

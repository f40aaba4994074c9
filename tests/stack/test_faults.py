"""Parts of the stack are killed in the middle of a run: it goes on, or fails cleanly, and no cluster is left.

A process is killed from outside, by the kernel's id, so that the engine starts the container again by its own rules.
"""

import pytest

from tests.e2e.installation import draw
from tests.stack.conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

RUN_SECONDS = 420
WELL_SECONDS = 180
#: How a run may end whose part was killed while the featurize step was under way. The local EMR takes its cluster with
#: it, as AWS would when it loses one; S3 may be away for longer than the step's own patience.
ENDINGS = {
    "scheduler": {"success"},
    "postgres": {"success"},
    "s3": {"success", "failed"},
    "local-emr": {"failed"},
}


@pytest.mark.parametrize("service", ENDINGS)
def test_a_killed_part_comes_back_and_the_run_ends_cleanly(stack: Stack, service: str) -> None:
    draw(stack.pictures, 4, seed=1000 + list(ENDINGS).index(service))
    run_id = stack.api.trigger(k=2)
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
    run_id = stack.api.trigger(k=2)
    assert stack.api.wait_for_end(run_id, RUN_SECONDS) == "success", stack.api.tasks(run_id)
    latest = stack.read_json("results/latest.json")
    assert latest
    assert stack.alive() == []

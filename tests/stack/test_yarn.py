"""The stack with a real YARN: its clusters have a node for each machine, and a run is what it is without."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.installation import draw
from tests.stack.compose_project import wait_for
from tests.stack.conftest import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

NEW_PICTURES = 4
RUN_SECONDS = 600


@pytest.fixture
def on_yarn(stack: Stack) -> Iterator[Stack]:
    """The stack whose local EMR was started again with YARN; afterwards it is as it was."""
    variables = {**stack.compose.variables, "VERGER_CLUSTER": "yarn", "VERGER_EMR_MEMORY": "6g"}
    # So few pictures would wait for no cluster.
    variables["VERGER_NODE_PYTHON"] = ""
    compose = replace(stack.compose, variables=variables)
    compose.up()
    yield replace(stack, compose=compose)
    stack.compose.up()


def test_dropped_pictures_are_computed_by_executors_in_containers_of_yarn(on_yarn: Stack, tmp_path: Path) -> None:
    before = {run["dag_run_id"] for run in on_yarn.api.runs()}
    for picture in sorted(draw(tmp_path, NEW_PICTURES, seed=99).rglob("*.jpg")):
        key = f"images/yarn {picture.parent.name}/{picture.name}"
        on_yarn.s3.put_object(Bucket="verger", Key=key, Body=picture.read_bytes())

    def new_runs() -> list[str]:
        return [run["dag_run_id"] for run in on_yarn.api.runs() if run["dag_run_id"] not in before]

    (run_id,) = wait_for(new_runs, 120, lambda: "no run started")
    assert on_yarn.api.wait_for_end(run_id, RUN_SECONDS) == "success", on_yarn.api.tasks(run_id)
    listed = on_yarn.s3.list_objects_v2(Bucket="verger", Prefix="logs/").get("Contents", [])
    assert any("/containers/application_" in entry["Key"] for entry in listed)
    assert on_yarn.alive() == []

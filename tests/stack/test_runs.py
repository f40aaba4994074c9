"""A person's way: trigger a run, look at it in the browser, drop pictures, find everything again tomorrow.

The order of these tests matters: each goes on where the one before has ended.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.installation import draw
from tests.stack.airflow_api import DAG
from tests.stack.browser import chromium, fill, log_in, open_form, open_section, trigger_button
from tests.stack.compose_project import wait_for
from tests.stack.conftest import PICTURES, Stack, connect

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

RUN_SECONDS = 600
#: The form's sections, and something that stands in each.
FORM = {
    "Pictures": ("Bucket", "Copy pictures from", "Its real location must be in the EU."),
    "Model": ("Weights file", "LiteRT (fast)"),
    "Matrix": ("Components", "Columns of the matrix."),
    "Place": ("Compute", "before a cluster has started"),
    "Cluster: machines": ("Instance type of the nodes", "m6i.xlarge: 4 vCPU, 16 GiB, x86"),
    "Cluster: size": ("Minutes wanted", "Share of Spot"),
    "Cluster: limits": ("Budget in US dollars", "The run stops before the cluster exists when it could cost more."),
}
NEW_PICTURES = 5
DEFAULT_K = 10


@pytest.fixture(scope="module")
def first_run(stack: Stack) -> str:
    """A run with the form's own defaults, but for k, and on a cluster."""
    run_id = stack.api.trigger(k=3, compute="cluster")
    assert stack.api.wait_for_end(run_id, RUN_SECONDS) == "success", stack.api.tasks(run_id)
    return run_id


@pytest.fixture(scope="module")
def page(stack: Stack) -> Iterator[Page]:
    with chromium() as page:
        log_in(page, stack.api.address, stack.api.user, stack.api.password)
        yield page


def test_a_run_that_was_triggered_through_the_api_ends_with_a_matrix_and_no_cluster(
    stack: Stack, first_run: str
) -> None:
    latest = stack.read_json("results/latest.json")
    assert latest
    run = stack.read_json(f"{latest['results_uri'].removeprefix('s3://verger/').rstrip('/')}/run.json")
    assert run
    assert run["counts"]["listed"] == stack.stored() >= PICTURES
    assert stack.alive() == []
    assert first_run


def test_dropped_pictures_start_exactly_one_run(stack: Stack, first_run: str, tmp_path: Path) -> None:
    before, stored = {run["dag_run_id"] for run in stack.api.runs()}, stack.stored()
    for picture in sorted(draw(tmp_path, NEW_PICTURES, seed=77).rglob("*.jpg")):
        key = f"images/dropped {picture.parent.name}/{picture.name}"
        stack.s3.put_object(Bucket="verger", Key=key, Body=picture.read_bytes())

    def new_runs() -> list[str]:
        return [run["dag_run_id"] for run in stack.api.runs() if run["dag_run_id"] not in before]

    (run_id,) = wait_for(new_runs, 120, lambda: f"no run started; first: {first_run}")
    assert stack.api.wait_for_end(run_id, RUN_SECONDS) == "success", stack.api.tasks(run_id)
    latest = stack.read_json("results/latest.json")
    assert latest
    run = stack.read_json(f"{latest['results_uri'].removeprefix('s3://verger/').rstrip('/')}/run.json")
    assert run
    assert run["counts"]["listed"] == stored + NEW_PICTURES
    assert (run["place"], run["cluster"]) == ("here", None), "so few pictures wait for no cluster"
    time.sleep(15)  # longer than the watcher needs to see a change
    assert new_runs() == [run_id]
    assert stack.alive() == []


@pytest.mark.browser
def test_the_form_explains_each_setting_and_starts_a_run(stack: Stack, page: Page, first_run: str) -> None:
    before = {run["dag_run_id"] for run in stack.api.runs()}
    form = open_form(page, stack.api.address)
    for section, texts in FORM.items():
        open_section(form, section)
        for text in texts:
            expect(form).to_contain_text(text)
    open_section(form, "Matrix")
    fill(form, "k", "0")
    expect(form.locator("[name=element_k]"), "the form keeps k within its bounds").to_have_value("1")
    fill(form, "k", str(DEFAULT_K))
    trigger_button(form).click()

    def new_runs() -> list[str]:
        return [run["dag_run_id"] for run in stack.api.runs() if run["dag_run_id"] not in before]

    (run_id,) = wait_for(new_runs, 60, lambda: f"the form started nothing; first: {first_run}")
    assert stack.api.wait_for_end(run_id, RUN_SECONDS) == "success"
    assert stack.api.tasks(run_id)["create_cluster"] == "skipped", (
        "the defaults are what the dropped pictures' run has done"
    )


@pytest.mark.browser
def test_the_log_of_a_task_shows_the_steps_own_progress(stack: Stack, page: Page, first_run: str) -> None:
    number = stack.api.last_try(first_run, "wait_for_featurize")
    page.goto(f"{stack.api.address}/dags/{DAG}/runs/{quote(first_run)}/tasks/wait_for_featurize?try_number={number}")
    expect(page.locator("body")).to_contain_text(re.compile(rf"{PICTURES} of {PICTURES} images|step s-\w+ completed"))


def test_down_and_up_keep_history_pictures_features_and_results(stack: Stack, first_run: str) -> None:
    latest = stack.read_json("results/latest.json")
    stack.compose.down()
    stack.compose.up()
    again = connect(stack.compose)
    assert again.api.password == stack.api.password
    assert again.api.state(first_run) == "success"
    assert again.read_json("results/latest.json") == latest
    assert re.search(r"step s-\w+", again.api.log(first_run, "wait_for_featurize"))
    before = len(again.api.runs())
    run_id = again.api.trigger()
    assert again.api.wait_for_end(run_id, RUN_SECONDS) == "success"
    assert again.api.tasks(run_id)["create_cluster"] == "skipped", "features and results were there"
    assert len(again.api.runs()) == before + 1, "the watcher remembers what it has seen"

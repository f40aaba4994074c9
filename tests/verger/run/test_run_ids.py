"""No run is called like something of Verger's own."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from hypothesis import example, given
from hypothesis import strategies as st
from verger.run.context import run_layout
from verger.run.run_ids import OWN_BEGINNINGS, OWN_NAMES, check_run_id
from verger.run.settings import SettingError, Settings
from verger_rules.layout import run_slug

from tools.acceptance.preparation import new_run

#: Folders and files beside those of runs (docs/formats.md), and the folders of what is written under such an id.
INTERNAL = {
    *OWN_NAMES, "walkthrough", "acceptance.json", "model=0123456789abcdef", "outcome=featurized", "outcome=rejected",
}  # fmt: skip

RUN_IDS = st.one_of(
    st.text(min_size=1),
    st.sampled_from([*OWN_BEGINNINGS, *OWN_NAMES, *INTERNAL]),
    st.builds("".join, st.tuples(st.sampled_from([*OWN_BEGINNINGS, *OWN_NAMES]), st.text())),
)


def accepted(run_id: str) -> bool:
    try:
        check_run_id(run_id)
    except SettingError:
        return False
    return True


@given(RUN_IDS)
@example("latest.json")
@example("outcome=rejected")
def test_the_folder_of_no_run_that_is_accepted_is_one_of_verger_s_own(run_id: str) -> None:
    if accepted(run_id):
        assert run_slug(run_id) not in INTERNAL
        assert not run_slug(run_id).casefold().startswith(OWN_BEGINNINGS)


def test_what_verger_s_own_programs_call_themselves_is_refused(project: Path) -> None:
    assert not accepted(new_run("fruits", datetime(2026, 11, 27, tzinfo=UTC)).run_id)
    notebook = json.loads((project / "notebooks/walkthrough.ipynb").read_text(encoding="utf-8"))
    source = "".join(line for cell in notebook["cells"] for line in cell["source"])
    assert 'run_id = f"walkthrough ' in source
    assert not accepted("walkthrough 2026-11-27T10:00:00.000000")


@pytest.mark.parametrize(
    "run_id",
    [
        "manual__2026-11-21T10:00:00+00:00", "scheduled__2026-11-21T00:00:00+00:00", "asset_triggered__2026-11-21",
        "backfill__2026", "latest-harvest", "my verger", "acceptance-2", "rewrite",
    ],
)  # fmt: skip
def test_what_airflow_and_people_call_runs_is_taken(run_id: str) -> None:
    check_run_id(run_id)


@pytest.mark.parametrize("run_id", ["", "  ", "Latest.JSON", "_DELTA_log", " walkthrough", "outcome=a", "Model=b"])
def test_a_name_of_verger_s_own_is_refused_with_what_to_do(run_id: str) -> None:
    with pytest.raises(SettingError, match="trigger with another run id") as refusal:
        check_run_id(run_id)
    assert repr(run_id) in str(refusal.value)


def test_every_task_that_asks_for_the_run_s_paths_refuses_it_for_good() -> None:
    context: Any = {"run_id": "_delta_log", "ti": SimpleNamespace(dag_id="fruits_features")}
    with pytest.raises(AirflowFailException, match="_delta_log"):
        run_layout(Settings(bucket="fruits", region="eu-west-1"), context)

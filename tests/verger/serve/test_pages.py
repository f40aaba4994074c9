"""What the tab, the link and the note say: from a run's record alone."""

from typing import Any

import pytest
from verger.publish.explorer import site
from verger.serve.browser_rules import Origin, browser_rules
from verger.serve.explorer_page import installed_file
from verger.serve.notices import explain_no_results
from verger.serve.result_file import content_type
from verger.serve.run_note import MOST_CHARACTERS, summarize
from verger.serve.run_record import RunRecord, locate, region_of
from verger.serve.tab import base_path, file_path, tab_path
from verger_rules.layout import run_slug

RUN_ID = "manual__2026-11-24T10:00:00+00:00"
OWN = f"s3://fruits/results/{run_slug(RUN_ID)}"


def record(**known: Any) -> RunRecord:
    usual: dict[str, Any] = {
        "dag_id": "fruits_features",
        "run_id": RUN_ID,
        "state": "success",
        "publish_state": "success",
        "conf": {},
        "published_uri": OWN,
        "earlier_run_id": None,
    }
    return RunRecord(**usual | known)


@pytest.mark.parametrize("conf", [{}, {"bucket": "fruits"}, {"bucket": ""}])
def test_the_results_are_where_the_run_put_them(conf: dict[str, Any]) -> None:
    run = locate(record(conf=conf))
    assert run
    assert run.results_uri == OWN


@pytest.mark.parametrize(
    "known",
    [
        {"published_uri": "s3://fruits/results/another-run-00000000"},
        {"published_uri": "s3://fruits/images"},
        {"published_uri": OWN + "/.."},
        {"published_uri": OWN + "/"},
        {"published_uri": "/etc"},
        {"published_uri": None},
        {"conf": {"bucket": "another"}},
        {"conf": {"bucket": ["fruits"]}},
        {"publish_state": "failed"},
        {"publish_state": None},
        {"publish_state": "running"},
        {"run_id": "manual__another"},
    ],
)
def test_nothing_but_the_results_of_the_run_itself_is_served(known: dict[str, Any]) -> None:
    assert locate(record(**known)) is None


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({}, "eu-west-1"),
        ({"region": "eu-west-3"}, "eu-west-3"),
        ({"region": "us-east-1"}, "eu-west-1"),
        ({"region": 3}, "eu-west-1"),
    ],
)
def test_the_region_is_one_of_the_eu(conf: dict[str, Any], expected: str) -> None:
    assert region_of(record(conf=conf), "eu-west-1") == expected


@pytest.mark.parametrize("path", ["", "report.html", "explorer/data/a.bin"])
def test_a_hostile_run_id_is_text_in_a_page(path: str) -> None:
    hostile = "\"><img src=x onerror='alert(1)'>"
    page = explain_no_results(record(publish_state="skipped", earlier_run_id=hostile), path).render()
    assert "<img" not in page
    assert f'href="{"../" * (path.count("/") + 1)}%22%3E%3Cimg' in page


def test_only_the_installed_page_runs_scripts_and_none_of_them_stands_in_a_page() -> None:
    for origin in (Origin.INSTALLED, Origin.BUCKET):
        assert "script-src" not in browser_rules(origin)["Content-Security-Policy"]
    policy = browser_rules(Origin.EXPLORER)["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert not {"http", "*", "unsafe-eval", "blob:"} & set(policy.replace(";", " ").split())


def test_what_comes_from_the_bucket_is_an_origin_of_its_own_that_may_do_nothing() -> None:
    assert browser_rules(Origin.BUCKET)["Content-Security-Policy"].endswith("; sandbox")


@pytest.mark.parametrize(
    "name", ["a.js", "a.MJS", "x/run.js", "a.css", "a.js.map", "a.wasm", "a.xhtml", "a.xml", "a", "a.htm"]
)
def test_nothing_of_the_bucket_is_a_script_a_style_or_an_unexpected_kind_of_page(name: str) -> None:
    assert content_type(name) in {"text/plain; charset=utf-8", "application/octet-stream"}


def test_what_can_run_is_the_installation_s_own() -> None:
    page = installed_file("explorer/index.html")
    assert page
    assert page.read_bytes() == (site.PAGE / "index.html").read_bytes()
    others = (
        "index.html",
        "explorer/data/run.js",
        "explorer/../explorer/app.js",
        "explorer/data/index.html",
        "explorer/",
    )
    assert [installed_file(name) for name in others] == [None] * len(others)


def test_addresses_hold_any_run_id() -> None:
    assert tab_path("d", RUN_ID) == "/dags/d/runs/manual__2026-11-24T10%3A00%3A00%2B00%3A00/plugin/results"
    base = base_path("https://example.com/airflow/")
    assert file_path("d", "a/b?", "map.svg", base) == "/airflow/results/runs/d/a%2Fb%3F/map.svg"
    assert base_path("") == base_path("http://localhost:8080") == ""


@pytest.mark.parametrize("warnings", range(8))
def test_a_note_tells_as_many_warnings_as_fit_and_how_many_more_there_are(warnings: int) -> None:
    """A note that is too long would not be written at all."""
    description = {
        "counts": {"featurized": 3, "rejected": 0},
        "pca": {"k": 1, "variance_reached": 0.0},
        "left_out": {"files": 0},
        "warnings": [f"warning {number} {'x' * 230}" for number in range(warnings)],
    }
    text = summarize(description, tab="/tab", picture="/map.svg")
    assert len(text) <= MOST_CHARACTERS
    assert text.startswith("**Results:**")
    assert text.endswith("[Look at the results](/tab)")
    told = sum(f"**warning {number} " in text for number in range(warnings))
    assert told == min(warnings, 3)
    assert ("more warnings: see the results**" in text) == (warnings > 3)
    whole = summarize(description | {"warnings": ["x" * MOST_CHARACTERS]}, tab="/tab", picture="/map.svg")
    assert "**1 warnings: see the results**" in whole


def test_the_summary_fits_into_a_note_whatever_the_numbers() -> None:
    description = {
        "counts": {"featurized": 10**9, "rejected": 10**9},
        "left_out": {"files": 10**9},
        "pca": {"k": 1280, "variance_reached": 0.12345},
        "warnings": ["The model has RANDOM weights: the matrix carries no meaning."],
        "changes": {"images": {"added": 10**9, "changed": 10**9, "gone": 10**9}},
    }
    run_id = "m" * 150
    text = summarize(description, tab=tab_path("d" * 50, run_id), picture=file_path("d" * 50, run_id, "map.svg"))
    assert len(text) <= MOST_CHARACTERS
    assert "12.3%" in text
    assert "1,000,000,000 rejected, 1,000,000,000 left out." in text
    assert "**The model has RANDOM weights" in text
    assert "Since the run before" not in summarize(description | {"changes": None}, tab="", picture="")

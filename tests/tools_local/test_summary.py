"""The table at the end of a demo."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tools.local_run import summary
from tools.local_run.clusters import ClusterState
from tools.local_run.summary import Outcome, rows

RUN: dict[str, Any] = {
    "counts": {"listed": 1500, "rejected": 3},
    "featurize": {
        "featurized": 20,
        "images_per_second": 148.2,
        "reject_reasons": [
            {"stage": "decode", "reason": "not_an_image", "images": 2},
            {"stage": "decode", "reason": "truncated", "images": 1},
        ],
    },
    "pca": {"k": 10, "variance_reached": 0.6314},
    "model": {"weights": "file"},
}


NONE = {"files": 0, "reasons": []}
HIDDEN = {"reason": "in a hidden folder", "files": 1234, "examples": [".git/"]}
OTHERS = {"reason": "no picture by its name", "files": 4, "examples": ["a.txt", "b.txt", "c.txt", "d.txt"]}
LEFT_OUT = {"files": 1238, "source": {"files": 1234, "reasons": [HIDDEN]}, "bucket": {"files": 4, "reasons": [OTHERS]}}


def _outcome(run: dict[str, Any] = RUN, *, computed: bool = True, left_out: dict[str, Any] = LEFT_OUT) -> Outcome:
    clusters = [ClusterState("j-1", "TERMINATED")] if computed else []
    return Outcome(run, computed, clusters, {"set-up": 4.0, "features": 12.34}, 20.0, Path("/home/me/out"), left_out)


def _printed(outcome: Outcome, **console: Any) -> str:
    output = io.StringIO()
    summary.show(outcome, Console(file=output, **console))
    return output.getvalue()


def test_the_table_tells_counts_k_variance_speed_cluster_and_seconds() -> None:
    assert rows(_outcome()) == [
        ("Images", "1,500 (20 computed now)"),
        ("Rejects", "3 (2 not an image, 1 truncated): see rejects.csv"),
        ("Left out", "1,238"),
        ("  1,234", "in a hidden folder: .git/, ..."),
        ("  4", "no picture by its name: a.txt, b.txt, c.txt, ..."),
        ("Components (k)", "10 of 1,280 features"),
        ("Explained variance", "63.1%"),
        ("Images per second", "148"),
        ("Place", "cluster"),
        ("Cluster", "j-1 TERMINATED"),
        ("Seconds", "20.0"),
        ("  set-up", "4.0"),
        ("  features", "12.3"),
    ]


def test_with_nothing_left_out_one_line_says_so() -> None:
    table = rows(_outcome(left_out={"files": 0, "source": NONE, "bucket": NONE}))
    assert table[2:4] == [("Left out", "0"), ("Components (k)", "10 of 1,280 features")]


def test_with_nothing_new_nothing_was_computed_and_no_cluster_needed() -> None:
    table = dict(rows(_outcome(computed=False)))
    assert table["Images"] == "1,500 (0 computed now)"
    assert table["Cluster"] == "none was needed"
    assert "Images per second" not in table


@pytest.mark.parametrize("width", [30, 80])
def test_random_weights_are_told_so_that_nobody_misses_it(width: int) -> None:
    random = RUN | {"model": {"weights": "random"}}
    assert "RANDOM" in _printed(_outcome(random), width=width)
    assert "RANDOM" not in _printed(_outcome(), width=width)


def test_it_says_where_the_results_are_on_one_line_even_on_a_narrow_terminal() -> None:
    lines = _printed(_outcome(), width=10).splitlines()
    assert "Results: /home/me/out" in lines
    assert "Look at: /home/me/out/explorer/index.html" in lines

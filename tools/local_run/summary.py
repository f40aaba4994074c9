"""The end of a demo in a short table, from what the run itself wrote down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from tools.local_run.clusters import ClusterState

RANDOM_WEIGHTS = (
    "THE MODEL HAS RANDOM WEIGHTS: the numbers below say nothing about the pictures."
    " For real ones: make demo WEIGHTS=mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
)


@dataclass(frozen=True)
class Outcome:
    """What the table tells.

    Attributes:
        run: the content of `run.json`.
        computed: whether this demo computed it; False when there was nothing new.
        clusters: the clusters of this demo, as EMR describes them at its end.
        phases: seconds spent, by name.
        seconds: the whole demo.
        out: where the results were copied to.
    """

    run: Mapping[str, Any]
    computed: bool
    clusters: Sequence[ClusterState]
    phases: Mapping[str, float]
    seconds: float
    out: Path


def rows(outcome: Outcome) -> list[tuple[str, str]]:
    """The table: a name and a value each."""
    counts, featurize, pca = outcome.run["counts"], outcome.run["featurize"], outcome.run["pca"]
    computed = featurize["featurized"] if outcome.computed else 0
    table = [
        ("Images", f"{counts['listed']:,} ({computed:,} computed now)"),
        ("Rejects", _rejects(counts["rejected"], featurize["reject_reasons"])),
        ("Components (k)", f"{pca['k']:,} of 1,280 features"),
        ("Explained variance", f"{pca['variance_reached']:.1%}"),
    ]
    if computed:
        table.append(("Images per second", f"{featurize['images_per_second']:.0f}"))
    table.append(("Cluster", ", ".join(f"{c.id} {c.state}" for c in outcome.clusters) or "none was needed"))
    table.append(("Seconds", f"{outcome.seconds:.1f}"))
    table += [(f"  {name}", f"{seconds:.1f}") for name, seconds in outcome.phases.items()]
    return table


def _rejects(rejected: int, reasons: Sequence[Mapping[str, Any]]) -> str:
    if not rejected:
        return "0"
    named = ", ".join(f"{reason['images']:,} {reason['reason'].replace('_', ' ')}" for reason in reasons)
    return f"{rejected:,}{f' ({named})' if named else ''}: see rejects.csv"


def show(outcome: Outcome, console: Console) -> None:
    """Prints the table, where the results are, and a warning nobody can miss when the model is a random one."""
    if outcome.run["model"]["weights"] == "random":
        console.print()
        console.print(f" {RANDOM_WEIGHTS} ", style="bold white on red", markup=False, highlight=False)
    console.print()
    table = rows(outcome)
    width = max(len(name) for name, _ in table) + 2
    for name, value in table:
        console.print(f"{name:<{width}}{value}", markup=False, highlight=False, soft_wrap=not console.is_terminal)
    console.print()
    console.print(f"Results: {outcome.out}", style="bold", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Look at: {outcome.out / 'report.html'}", markup=False, highlight=False, soft_wrap=True)

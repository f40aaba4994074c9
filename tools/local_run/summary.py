"""The end of a demo in a short table, from what the run itself wrote down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich import box
from rich.panel import Panel
from rich.text import Text

from tools.local_run.display import rate_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from tools.local_run.clusters import ClusterState

RANDOM_WEIGHTS = (
    "THE MODEL HAS RANDOM WEIGHTS: the results say nothing about the pictures.\n"
    "For real ones give Keras' MobileNetV2 weights without the top: make demo WEIGHTS=FILE.h5"
)
BAND_COLUMNS = 96
#: So many names of files that were left out stand behind each reason.
_MOST_NAMES = 3


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
        left_out: what this demo left out, as `run.json` holds it, whether or not there was anything to compute.
    """

    run: Mapping[str, Any]
    computed: bool
    clusters: Sequence[ClusterState]
    phases: Mapping[str, float]
    seconds: float
    out: Path
    left_out: Mapping[str, Any]


def rows(outcome: Outcome) -> list[tuple[str, str]]:
    """The table: a name and a value each."""
    counts, featurize, pca = outcome.run["counts"], outcome.run["featurize"], outcome.run["pca"]
    computed = featurize["featurized"] if outcome.computed else 0
    table = [
        ("Images", f"{counts['listed']:,} ({computed:,} computed now)"),
        ("Rejects", _rejects(counts["rejected"], featurize["reject_reasons"])),
        ("Left out", f"{outcome.left_out['files']:,}"),
        *_left_out(outcome.left_out),
        ("Components (k)", f"{pca['k']:,} of 1,280 features"),
        ("Explained variance", f"{pca['variance_reached']:.1%}"),
        *([("Quality", quality["sentence"])] if (quality := outcome.run.get("quality")) else []),
    ]
    if computed:
        table.append(("Images per second", rate_text(featurize["images_per_second"])))
    table.append(("Place", outcome.run.get("place", "cluster") if outcome.computed else "none: nothing was new"))
    table.append(("Cluster", ", ".join(f"{c.id} {c.state}" for c in outcome.clusters) or "none was needed"))
    table.append(("Seconds", f"{outcome.seconds:.1f}"))
    table += [(f"  {name}", f"{seconds:.1f}") for name, seconds in outcome.phases.items()]
    return table


def _left_out(left_out: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A row for each reason, with the first names; these are printable, a terminal does nothing at them."""
    return [
        (f"  {found['files']:,}", f"{found['reason']}: {_names(found)}")
        for place in ("source", "bucket")
        for found in left_out[place]["reasons"]
    ]


def _names(found: Mapping[str, Any]) -> str:
    shown = found["examples"][:_MOST_NAMES]
    return ", ".join(shown) + (", ..." if found["files"] > len(shown) else "")


def _rejects(rejected: int, reasons: Sequence[Mapping[str, Any]]) -> str:
    if not rejected:
        return "0"
    named = ", ".join(f"{reason['images']:,} {reason['reason'].replace('_', ' ')}" for reason in reasons)
    return f"{rejected:,}{f' ({named})' if named else ''}: see rejects.csv"


def show(outcome: Outcome, console: Console) -> None:
    """Prints the table, where the results are, and a warning nobody can miss when the model is a random one."""
    if outcome.run["model"]["weights"] == "random":
        console.print()
        band = Panel(Text(RANDOM_WEIGHTS), box=box.HEAVY, style="bold white on red")
        console.print(band, width=min(console.width, BAND_COLUMNS))
    console.print()
    table = rows(outcome)
    width = max(len(name) for name, _ in table) + 2
    for name, value in table:
        console.print(f"{name:<{width}}{value}", markup=False, highlight=False, soft_wrap=not console.is_terminal)
    console.print()
    console.print(f"Results: {outcome.out}", style="bold", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Look at: {outcome.out / 'explorer' / 'index.html'}", markup=False, highlight=False, soft_wrap=True)

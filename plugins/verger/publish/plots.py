"""The plots of a run, drawn by matplotlib without a display."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from verger.publish.label_looks import MARKERS, label_colour, label_marker
from verger.storage.file_names import printable

#: Beyond this many labels, colours cannot be told apart and a legend hides the map.
_MOST_LEGEND_LABELS = 20
_MOST_LABEL_LENGTH = 28
#: With more labels than a legend holds.
_FEW_MARKERS = 5
#: Beyond this many points an SVG grows to megabytes: the points then become a picture inside it.
_MOST_VECTOR_POINTS = 2_000
_SVG_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "verger", "text.parse_math": False}


def draw_scree(ratios: Sequence[float], kind: str) -> bytes:
    """Draw each component's share of the variance and their sum; `kind` is `svg` or `png`."""
    with mpl.rc_context(_SVG_SETTINGS):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.add_subplot()
        numbers = range(1, len(ratios) + 1)
        axes.bar(numbers, ratios, color="#7a9e5f", label="each component")
        axes.plot(numbers, _running_sum(ratios), color="#a33b20", marker="o", markersize=3, label="together")
        axes.set_xlabel("component")
        axes.set_ylabel("share of variance")
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.legend(frameon=False)
        return _save(figure, kind)


def draw_accuracy(quality: Mapping[str, Any], kind: str) -> bytes:
    """Draw how often the nearest image has the right label, for each number of components; `kind` is `svg` or `png`.

    Args:
        quality: the content of `quality.json`, with at least one number of components judged.
        kind: of file.
    """
    with mpl.rc_context(_SVG_SETTINGS):
        figure = Figure(figsize=(7, 3.6), layout="constrained")
        axes = figure.add_subplot()
        _draw_curve(axes, quality, "leave one out", "#4d7a36", "o")
        if quality["split"]:
            _draw_curve(axes, quality["split"], "Test judged by Training", "#2b5c9e", "s")
        numbers = [row["k"] for row in quality["by_k"]]
        axes.plot(numbers, [row["variance"] for row in quality["by_k"]], color="#a33b20", ls=":", label="variance")
        axes.axvline(quality["k"], color="#5c6b5a", lw=0.8, ls="--", label=f"the matrix: {quality['k']:,}")
        axes.set_xscale("log")
        ticks = sorted({*numbers, quality["features"]["k"]})
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("components; the last point is all features")
        axes.set_ylabel("nearest image has the label")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        return _save(figure, kind)


def _draw_curve(axes: Axes, judged: Mapping[str, Any], name: str, color: str, marker: str) -> None:
    rows = [*judged["by_k"], judged["features"]]
    numbers = [row["k"] for row in rows]
    shares = [row["accuracy"] for row in rows]
    axes.fill_between(
        numbers, [share["low"] for share in shares], [share["high"] for share in shares], color=color, alpha=0.15, lw=0
    )
    axes.plot(numbers, [share["value"] for share in shares], color=color, marker=marker, markersize=4, label=name)


def draw_map(shown: pa.Table, images: int, kind: str) -> bytes:
    """Draw some images (columns label, pc_1 and, if there is one, pc_2) out of so many, coloured by label."""
    with mpl.rc_context(_SVG_SETTINGS):
        figure = Figure(figsize=(7, 5), layout="constrained")
        axes = figure.add_subplot()
        first = shown["pc_1"].to_numpy()
        second = shown["pc_2"].to_numpy() if "pc_2" in shown.column_names else first * 0
        labels = shown["label"].combine_chunks()
        encoded = labels.dictionary_encode()
        names = sorted(encoded.dictionary.to_pylist())
        place = {name: number for number, name in enumerate(names)}
        number = np.array([place[name] for name in encoded.dictionary.to_pylist()])[encoded.indices.to_numpy()]
        look = {"s": 16, "linewidths": 0, "alpha": 0.8, "rasterized": shown.num_rows > _MOST_VECTOR_POINTS}
        if len(names) <= _MOST_LEGEND_LABELS:
            for at, name in enumerate(names):
                of_label, label = number == at, _shown(name)
                color, marker = label_colour(name), label_marker(name)
                axes.scatter(first[of_label], second[of_label], color=color, marker=marker, label=label, **look)
        else:
            # No legend tells them apart: one drawing for each of a few markers, however many labels there are.
            colors = np.array([label_colour(name) for name in names])
            markers = np.array([MARKERS.index(label_marker(name)) % _FEW_MARKERS for name in names])
            for at in range(_FEW_MARKERS):
                of_marker = markers[number] == at
                marked = {"c": colors[number[of_marker]], "marker": MARKERS[at]}
                axes.scatter(first[of_marker], second[of_marker], **marked, **look)
        if shown.num_rows < images:
            axes.set_title(f"a sample of {shown.num_rows:,} of {images:,} images", fontsize=9)
        axes.set_xlabel("component 1")
        axes.set_ylabel("component 2" if "pc_2" in shown.column_names else "")
        if len(names) <= _MOST_LEGEND_LABELS:
            axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return _save(figure, kind)


def _running_sum(ratios: Sequence[float]) -> list[float]:
    return [sum(ratios[: end + 1]) for end in range(len(ratios))]


def _shown(label: str) -> str:
    # A label that begins with _ would be left out of the legend, and one may be empty.
    text = printable(label).lstrip("_") or "(no label)"
    return text if len(text) <= _MOST_LABEL_LENGTH else f"{text[: _MOST_LABEL_LENGTH - 1]}…"


def _save(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # No date inside: the same run gives the same bytes.
    figure.savefig(buffer, format=kind, dpi=144, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()

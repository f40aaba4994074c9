"""What a run publishes about its quality, beside the explorer's data, as docs/formats.md has it."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from verger.publish.explorer import site

IMAGES = "s3://fruits/images/"
FILES = ("quality.json", "duplicates.parquet")
DUPLICATES = pa.schema(
    {
        "group": pa.int32(),
        "kind": pa.string(),
        "where": pa.string(),
        "path": pa.string(),
        "label": pa.string(),
        "part": pa.string(),
        "similarity": pa.float64(),
        "point": pa.int32(),
    }
)


def share(value: float, spread: float = 0.04) -> dict[str, float]:
    """A share with its interval."""
    return {"value": value, "low": max(0.0, value - spread), "high": min(1.0, value + spread / 2)}


def _measured(value: float) -> dict[str, Any]:
    return {"accuracy": share(value), "balanced": share(value - 0.01)}


def quality_of(labels: Sequence[str], names: Sequence[str], *, split: bool = False) -> dict[str, Any]:
    """A `quality.json` of pictures with some names below `images/`; the last label is taken for the first."""
    steps = [2, 3, 5, 10, 20, 50, 100]
    by_k = [
        {
            "k": k, "variance": 1 - 0.75 / math.sqrt(k), **_measured(0.98 - 0.3 / k),
            "without_duplicates": share(0.9 - 0.3 / k),
        }
        for k in steps
    ]  # fmt: skip
    all_features = {"k": 1280, "variance": 1.0, **_measured(0.985)}
    taken = [name for name in names if name.startswith(f"{labels[-1]}/")][:6]
    confusion = [[40 if row == column else 0 for column in range(len(labels))] for row in range(len(labels))]
    confusion[-1][0] = 7
    tested = [{key: one[key] for key in ("k", "accuracy", "balanced", "without_duplicates")} for one in by_k]
    return {
        "format": 1,
        "sentence": "10 components keep 97 of 100 right neighbours; all 1,280 features keep 98.",
        "images": len(names), "of_images": len(names), "labels": len(labels), "judged": len(names) - 1,
        "k": 10, "chosen": "k was given",
        "by_k": [{key: one[key] for key in ("k", "variance", "accuracy", "balanced")} for one in by_k],
        "features": all_features,
        "split": {
            "training": 100, "test": 40, "near_duplicates": 3, "by_k": tested,
            "features": {**_measured(0.96), "without_duplicates": share(0.93)},
        } if split else None,
        "classifier": {
            "images": len(names), "folds": 5, "grouped": True, "tested_on": "cross-validation",
            "components": {"k": 10, **_measured(0.95)}, "features": _measured(0.97),
            "labels": list(labels), "confusion": confusion, "confusion_labels": list(labels),
            "confused": [{
                "label": labels[-1], "taken_for": labels[0], "images": 7,
                "paths": [*(IMAGES + name for name in taken), f"{IMAGES}{labels[-1]}/not-shown.jpg"],
            }],
        },
        "duplicates": {
            "bound": 0.98, "looked_at": "all images",
            "same_bytes": {"groups": 0, "images": 0}, "near": {"groups": 0, "images": 0},
            "within_a_label": 0, "across_labels": 0, "across_the_split": 0,
        },
    }  # fmt: skip


def group_rows(
    number: int, kind: str, where: str, names: Sequence[str], parts: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The rows of a group of duplicates."""
    return [
        {
            "group": number, "kind": kind, "where": where, "path": IMAGES + name,
            "label": name.rpartition("/")[0].rpartition("/")[2], "part": parts[at] if parts else "",
            "similarity": 1.0 if kind == "same bytes" else 0.991, "point": -1,
        }
        for at, name in enumerate(names)
    ]  # fmt: skip


def write_quality(page: Path, quality: Mapping[str, Any], groups: Sequence[Mapping[str, Any]] = ()) -> None:
    """Put it beside the data of the explorer whose page is given, and into the script for a page on a disk."""
    data = page.parent / "data"
    paths = pq.read_table(data / "points.parquet")["path"].to_pylist()
    rows = [{**row, "point": paths.index(row["path"]) if row["path"] in paths else -1} for row in groups]
    counts = {
        kind: {
            "groups": len({row["group"] for row in rows if row["kind"] == name}),
            "images": sum(row["kind"] == name for row in rows),
        }
        for kind, name in (("same_bytes", "same bytes"), ("near", "near"))
    }
    wheres = {
        where.replace(" ", "_"): len({row["group"] for row in rows if row["where"] == where})
        for where in ("within a label", "across labels", "across the split")
    }
    told = {**quality, "duplicates": {**quality["duplicates"], **counts, **wheres}}
    (data / "quality.json").write_text(json.dumps(told), encoding="utf-8")
    if rows:
        pq.write_table(pa.Table.from_pylist(rows, schema=DUPLICATES), data / "duplicates.parquet", compression="snappy")
    names = dict.fromkeys((*site.FETCHED, *FILES))
    site.write_script(data / "offline.js", [data / name for name in names if (data / name).exists()])

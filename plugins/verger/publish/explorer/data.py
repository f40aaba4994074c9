"""The data that the explorer's page reads, written into a folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.fs
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address

from verger.publish.explorer.all_pictures import FILE, write_all_pictures
from verger.publish.explorer.neighbours import NEIGHBOURS, find_neighbourhoods
from verger.publish.explorer.quality_files import write_quality_files
from verger.publish.explorer.thumbnails import CELL, COLUMNS, PER_SHEET, write_sheets
from verger.publish.run_rows import RunRows
from verger.publish.shown_pictures import ShownPictures
from verger.quality.published_quality import Quality
from verger.storage.layout import RunLayout

FORMAT = 1
#: Of an explained variance with all 1,280 components the page draws the first.
_MOST_BARS = 60


@dataclass(frozen=True)
class RunFiles:
    """What the explorer is made of.

    Attributes:
        filesystem: of the bucket.
        run: the run's paths.
        table: the folder of the feature table.
        shown: the pictures that it shows.
        rows: of all of them.
        quality: what is known of it; None for a run of an earlier version.
    """

    filesystem: pyarrow.fs.FileSystem
    run: RunLayout
    table: S3Address
    shown: ShownPictures
    rows: RunRows
    quality: Quality | None = None


def write_data(folder: Path, files: RunFiles) -> None:
    """Write what the page reads; `folder` exists and is empty."""
    shown = files.shown
    pictures, components = shown.pictures, shown.components
    components.tofile(folder / "components.f32")
    labels = pictures["label"].combine_chunks().dictionary_encode()
    around = find_neighbourhoods(components.T, labels.indices.to_numpy().astype(np.int32))
    thumbnails = write_sheets(folder, files.filesystem, files.table, pictures)
    columns: dict[str, Any] = {
        "path": pictures["path"],
        "label": pictures["label"],
        "bytes": pictures["bytes"],
        "width": thumbnails.width,
        "height": thumbnails.height,
        "slot": thumbnails.slot,
        "thumbnail_width": thumbnails.thumbnail_width,
        "thumbnail_height": thumbnails.thumbnail_height,
        "change": pictures["change"],
    }
    if around:
        columns |= {
            "agreeing": around.agreeing,
            "other": pc.take(labels.dictionary, pa.array(around.other, mask=around.other < 0)),
            "others": around.others,
            "nearest": around.nearest,
        }
    _write_parquet(folder / "points.parquet", pa.table(columns))
    _write_parquet(folder / "rejects.parquet", shown.rejects)
    if shown.of_pictures > pictures.num_rows:
        write_all_pictures(folder / FILE, files.rows)
    if files.quality:
        write_quality_files(folder, files.quality, pictures["path"])
    root = files.run.layout.address(files.run.layout.images_prefix).uri
    about = {
        "format": FORMAT,
        "run_id": files.run.run_id,
        "images_uri": root,
        "pictures": pictures.num_rows,
        "of_pictures": shown.of_pictures,
        "k": len(components),
        "neighbours": NEIGHBOURS if around else 0,
        "sheets": {"count": thumbnails.sheets, "cell": CELL, "columns": COLUMNS, "cells": PER_SHEET},
        "rejects": shown.rejects.num_rows,
        "of_rejects": shown.of_rejects,
        "scree": _read_scree(files),
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _write_parquet(path: Path, table: pa.Table) -> None:
    # Snappy is what browsers' readers know without a second library.
    pq.write_table(table, path, compression="snappy", use_dictionary=["label", "other", "stage", "reason"])


def _csv(files: RunFiles, name: str, types: Mapping[str, pa.DataType]) -> pa.Table | None:
    address = files.run.result_file(name)
    options = pa_csv.ConvertOptions(column_types=dict(types), include_columns=list(types), strings_can_be_null=False)
    try:
        with files.filesystem.open_input_stream(f"{address.bucket}/{address.key}") as stream:
            parse = pa_csv.ParseOptions(newlines_in_values=True)
            return pa_csv.read_csv(stream, convert_options=options, parse_options=parse)
    except FileNotFoundError:
        return None


def _read_scree(files: RunFiles) -> list[dict[str, Any]]:
    """Each component's share of the variance, whether kept or not."""
    types = {"component": pa.int32(), "explained_variance_ratio": pa.float64(), "kept": pa.bool_()}
    found = _csv(files, "explained_variance.csv", types)
    if found is None:
        return []
    return [
        {"component": row["component"], "share": row["explained_variance_ratio"], "kept": row["kept"]}
        for row in found.slice(0, _MOST_BARS).to_pylist()
    ]

"""The data that the explorer's page reads, written into a folder."""

import json
import re
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
from verger_rules.answers import has_features

from verger.publish.explorer.change_flags import change_of_each
from verger.publish.explorer.neighbours import NEIGHBOURS, find_neighbourhoods
from verger.publish.explorer.thumbnails import CELL, COLUMNS, PER_SHEET, write_sheets
from verger.storage.layout import RunLayout

FORMAT = 1
#: Of an explained variance with all 1,280 components the page draws the first.
_MOST_BARS = 60
_COMPONENT = re.compile(r"pc_\d+")
_REJECT_COLUMNS = ["path", "label", "stage", "reason", "detail"]


@dataclass(frozen=True)
class RunFiles:
    """What the explorer is made of.

    Attributes:
        filesystem: of the bucket.
        run: the run's paths.
        table: the folder of the feature table.
        answers: the run's, schema ANSWERS; those with features are the rows of the matrix, in its order.
        manifest: columns path, etag, size; unique by path.
        before: the same of the run before; None without one.
    """

    filesystem: pyarrow.fs.FileSystem
    run: RunLayout
    table: S3Address
    answers: pa.Table
    manifest: pa.Table
    before: pa.Table | None


def write_data(folder: Path, files: RunFiles) -> None:
    """Write what the page reads; `folder` exists and is empty. In memory is one sheet and one number a component."""
    pictures, k = _write_components(folder / "components.f32", files)
    labels = pictures["label"].combine_chunks().dictionary_encode()
    components = np.memmap(folder / "components.f32", "<f4", "r", shape=(k, pictures.num_rows))
    around = find_neighbourhoods(components.T, labels.indices.to_numpy().astype(np.int32))
    listed = pc.index_in(pictures["path"].combine_chunks(), value_set=files.manifest["path"].combine_chunks())
    featurized = files.answers.filter(has_features(files.answers))
    thumbnails = write_sheets(folder, files.filesystem, files.table, featurized)
    change = change_of_each(files.manifest, files.before)[listed.to_numpy()]
    sizes = files.manifest["size"].combine_chunks().take(listed).cast(pa.float64())
    columns: dict[str, Any] = {
        "path": pictures["path"],
        "label": pictures["label"],
        "bytes": sizes,
        "width": thumbnails.width,
        "height": thumbnails.height,
        "slot": thumbnails.slot,
        "thumbnail_width": thumbnails.thumbnail_width,
        "thumbnail_height": thumbnails.thumbnail_height,
        "change": change,
    }
    if around:
        columns |= {
            "agreeing": around.agreeing,
            "other": pc.take(labels.dictionary, pa.array(around.other, mask=around.other < 0)),
            "others": around.others,
            "nearest": around.nearest,
        }
    _write_parquet(folder / "points.parquet", pa.table(columns))
    rejects = files.answers.filter(pc.is_valid(files.answers["stage"])).select(_REJECT_COLUMNS)
    _write_parquet(folder / "rejects.parquet", rejects)
    root = files.run.layout.address(files.run.layout.images_prefix).uri
    about = {
        "format": FORMAT,
        "run_id": files.run.run_id,
        "images_uri": root,
        "pictures": pictures.num_rows,
        "k": k,
        "neighbours": NEIGHBOURS if around else 0,
        "sheets": {"count": thumbnails.sheets, "cell": CELL, "columns": COLUMNS, "cells": PER_SHEET},
        "rejects": rejects.num_rows,
        "scree": _read_scree(files),
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _write_components(path: Path, files: RunFiles) -> tuple[pa.Table, int]:
    """Write pc_1 .. pc_k as little-endian float32, one component after the other; path and label, and k."""
    matrix = files.run.result_file("matrix.parquet")
    with files.filesystem.open_input_file(f"{matrix.bucket}/{matrix.key}") as stream:
        file = pq.ParquetFile(stream)
        names = [name for name in file.schema_arrow.names if _COMPONENT.fullmatch(name)]
        with path.open("wb") as written:
            for name in names:
                column = file.read(columns=[name])[name].to_numpy()
                written.write(column.astype("<f4").tobytes())
        return file.read(columns=["path", "label"]), len(names)


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

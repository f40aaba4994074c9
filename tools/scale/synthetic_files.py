"""The files of a run over images that do not exist: manifest, answers, and the feature table as far as it is read."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile, commit_chunk
from verger_rules.layout import chunk_folder
from verger_rules.manifest_file import ManifestFile
from verger_rules.row_parts import PART_ROWS
from verger_rules.schemas import ANSWERS, FEATURIZED, MANIFEST, TABLE_FILE

from tools.benchmarks.local_table import local_place
from tools.scale import synthetic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

FILE_ROWS = 1024
#: Files of a chunk of 20,000 images, which is one commit.
CHUNK_FILES = 20
RUN = "scheduled__2026-11-21T00-00-00-00-00-0a1b2c3d"
COMPUTED_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def parts_of_manifest(images: int) -> Iterator[pa.Table]:
    """The list of so many images, ascending by path, part by part; schema MANIFEST."""
    numbers = synthetic.ascending(images)
    for start in range(0, images, PART_ROWS):
        pairs = [synthetic.identity(next(numbers)) for _ in range(min(PART_ROWS, images - start))]
        paths, etags = zip(*pairs, strict=True)
        labels = [path.split("/")[-2] for path in paths]
        yield pa.table([paths, etags, labels, [synthetic.SIZE] * len(pairs)], schema=MANIFEST)


def write_manifest(path: Path, images: int) -> ManifestFile:
    """A manifest as plan_run writes it."""
    with pq.ParquetWriter(path, MANIFEST, compression="zstd") as writer:
        for part in parts_of_manifest(images):
            writer.write_table(part)
    return ManifestFile(path, images)


def answers_of(images: int) -> Iterator[pa.Table]:
    """The answers of images that all have features, in the files of `write_identities`; schema ANSWERS."""
    numbers = synthetic.ascending(images)
    for part in parts_of_manifest(images):
        at = np.fromiter(itertools.islice(numbers, part.num_rows), np.int64)
        file, row = np.divmod(at, FILE_ROWS)
        chunk, inside = np.divmod(file, CHUNK_FILES)
        names = [file_name(*place) for place in zip(chunk.tolist(), inside.tolist(), strict=True)]
        yield answered(part, pa.array(names), row)


def answered(part: pa.Table, files: pa.Array, rows: npt.NDArray[np.int64]) -> pa.Table:
    """The answers of some images of a manifest that all have features, from where these lie; schema ANSWERS."""
    nothing = pa.nulls(part.num_rows, pa.string())
    columns = [part["path"], part["label"], part["etag"], files, pa.array(rows), *[nothing] * 3]
    return pa.Table.from_arrays(columns, schema=ANSWERS)


def file_name(chunk: int, part: int) -> str:
    """A file of the feature table."""
    return f"{chunk_folder(FEATURIZED, RUN, chunk)}/{part:05d}-{'0' * 32}.parquet"


def write_identities(folder: Path, images: int, thumbnail: bytes = b"", *, first: int = 0) -> list[TableFile]:
    """Files of the feature table, of the images `first` to `images` - 1, as far as they are read here: no features."""
    files = []
    for number, start in enumerate(range(first, images, FILE_ROWS), first // FILE_ROWS):
        paths, etags = zip(*map(synthetic.identity, range(start, min(start + FILE_ROWS, images))), strict=True)
        chunk, part = divmod(number, CHUNK_FILES)
        path = folder / file_name(chunk, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = pa.table(_columns(paths, etags, thumbnail))
        pq.write_table(
            rows.cast(pa.schema([TABLE_FILE.field(name) for name in rows.column_names])), path, compression="zstd"
        )
        name = path.relative_to(folder).as_posix()
        files.append(TableFile(name, FEATURIZED, rows.num_rows, path.stat().st_size))
    return files


def _columns(paths: Sequence[str], etags: Sequence[str], thumbnail: bytes) -> dict[str, list[Any]]:
    same = {"decoder": DECODER_VERSION, "run": RUN, "computed_at": COMPUTED_AT, "width": 100, "height": 100}
    others = {name: [value] * len(paths) for name, value in (same | {"thumbnail": thumbnail}).items()}
    return {"path": list(paths), "read_etag": list(etags), **others}


def commit_files(folder: Path, files: Sequence[TableFile]) -> None:
    """Make a table of some files, a chunk a commit."""
    for chunk, start in enumerate(range(0, len(files), CHUNK_FILES)):
        commit_chunk(local_place(folder), RUN, chunk, files[start : start + CHUNK_FILES])

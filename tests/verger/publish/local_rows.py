"""The files of a small run that have a row for each image, in a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from verger.publish.run_rows import RunRows
from verger_rules.manifest_file import ManifestFile
from verger_rules.schemas import ANSWERS, MANIFEST


def manifest_of(path: Path, etags: Mapping[str, str]) -> ManifestFile:
    """A manifest of paths and etags, in their order."""
    images = [{"path": name, "etag": etag, "label": "", "size": 1} for name, etag in etags.items()]
    return _manifest(path, pa.Table.from_pylist(images, schema=MANIFEST))


def _manifest(path: Path, table: pa.Table) -> ManifestFile:
    pq.write_table(table, path)
    return ManifestFile(path, table.num_rows)


def rows_of(folder: Path, listed: Sequence[str], answers: pa.Table, matrix: Sequence[str]) -> RunRows:
    """The rows of some paths."""
    images = pa.Table.from_pylist([{"path": path, "etag": "1", "label": "", "size": 1} for path in listed], MANIFEST)
    pq.write_table(answers, folder / "answers.parquet")
    columns = {name: pa.array(matrix, pa.string()) for name in ("path", "label")}
    pq.write_table(pa.table(columns), folder / "matrix.parquet")
    manifest = _manifest(folder / "manifest.parquet", images)
    return RunRows(manifest, None, (folder / "answers.parquet",), folder / "matrix.parquet", len(matrix))


def compared(folder: Path, now: Mapping[str, str], before: Mapping[str, str] | None) -> RunRows:
    """Two manifests, of paths with etags; every image has features."""
    paths = sorted(now)
    answers = [{"path": path, "label": "", "etag": now[path], "file": "f", "row": 0} for path in paths]
    rows = rows_of(folder, paths, pa.Table.from_pylist(answers, ANSWERS), paths)
    return RunRows(
        manifest=manifest_of(folder / "now.parquet", {path: now[path] for path in paths}),
        before=None if before is None else manifest_of(folder / "before.parquet", dict(sorted(before.items()))),
        answers=rows.answers,
        matrix=rows.matrix,
        rows=rows.rows,
    )

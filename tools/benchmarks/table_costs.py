"""What it costs to open the feature table, to find what is to do, to erase rows and to merge small files, on a folder.

    python -m tools.benchmarks.table_costs --rows 1000000 --runs 300 --folder FOLDER

Makes two tables as featurize leaves them: one large run, and many small ones. A million rows take 7 GB and some
minutes. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.answering import Answering
from verger_rules.delta_table import live_files, merge_small_files, open_table
from verger_rules.disk_database import DiskLimits, disk_database
from verger_rules.manifest_file import ManifestFile
from verger_rules.schemas import KEYS, MANIFEST, image_id
from verger_rules.table_erasure import delete_images, purge

from tools.benchmarks.local_table import local_place, local_reader
from tools.benchmarks.measured_process import RESULT
from tools.benchmarks.synthetic_table import CHUNK_ROWS, LABELS, etag_of, label_of, path_of, write_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from verger_rules.delta_table import TableFile, TablePlace

#: Images of a small run.
FEW = 20
NEW_PERCENT = 1


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large table")
    parser.add_argument("--runs", type=int, default=300, help=f"of {FEW} images each, of the other")
    parser.add_argument("--folder", type=Path, required=True, help="is made, and removed at the end")
    return parser.parse_args()


class Stopwatch:
    """Seconds since the last look, rounded."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Since the last look."""
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return round(passed, 3)


def opening(place: TablePlace, rows: int) -> dict[str, Any]:
    """Open a table and find what is to do of a list that has a hundredth more images."""
    with tempfile.TemporaryDirectory() as folder, disk_database(DiskLimits(Path(folder), 512, "", "")) as database:
        listed = write_manifest(database.folder / "manifest.parquet", rows + max(1, rows * NEW_PERCENT // 100))
        watch = Stopwatch()
        files = live_files(open_table(place))
        opened = watch.lap()
        answering = Answering(database, listed, "now")
        answering.read_keys(files, local_reader(place))
        read = watch.lap()
        answering.decide()
        todo = sum(part.num_rows for part in answering.unanswered(retry_rejects=False))
        seconds = {"open": opened, "read_keys": read, "rows_to_do": watch.lap()}
        return {"rows": answering.rows(), "files": len(files), "to_do": todo, "seconds": seconds}


def write_manifest(path: Path, images: int) -> ManifestFile:
    """Write a list of images, ascending by path."""
    pq.write_table(manifest(images), path)
    return ManifestFile(path, images)


def manifest(images: int) -> pa.Table:
    """A list of images, ascending by path."""
    numbers = range(images)
    columns = [map(path_of, numbers), map(etag_of, numbers), map(label_of, numbers), [100_000] * images]
    return pa.table([list(column) for column in columns], MANIFEST)


def erasure(place: TablePlace, paths: Sequence[str]) -> dict[str, Any]:
    """Delete some images' rows, then every file and entry of the log that holds them."""
    before = set(live_files(open_table(place)))
    watch = Stopwatch()
    delete_images(place, map(image_id, paths))
    deleting = watch.lap()
    purge(place)
    purging = watch.lap()
    after = set(live_files(open_table(place)))
    return {
        "rows": sum(file.rows for file in before) - sum(file.rows for file in after),
        "seconds": {"delete": deleting, "purge": purging},
        "rewritten": changed(before - after),
        "written": changed(after - before),
    }


def changed(files: set[TableFile]) -> dict[str, int]:
    """How many files, and their bytes."""
    return {"files": len(files), "bytes": sum(file.size for file in files)}


def merging(place: TablePlace) -> dict[str, Any]:
    """Merge small files."""
    table = open_table(place)
    if table is None:
        raise FileNotFoundError(place.folder.uri)
    before = set(live_files(table))
    watch = Stopwatch()
    merge_small_files(table)
    seconds = watch.lap()
    after = set(live_files(open_table(place)))
    return {"seconds": seconds, "rewritten": changed(before - after), "written": changed(after - before)}


def column_bytes(folder: Path, file: TableFile) -> dict[str, float]:
    """Bytes a row of each part of a file: what readers read who ask for it alone."""
    found = pq.ParquetFile(folder / file.name).metadata
    parts = {"keys": 0, "features": 0, "thumbnail": 0, "others": 0}
    for name, size in _column_sizes(found):
        part = "keys" if name in KEYS.names else name if name in parts else "others"
        parts[part] += size
    return {part: round(size / found.num_rows, 1) for part, size in parts.items()}


def _column_sizes(found: pq.FileMetaData) -> Iterator[tuple[str, int]]:
    for group in range(found.num_row_groups):
        for number in range(found.num_columns):
            column = found.row_group(group).column(number)
            yield column.path_in_schema.partition(".")[0], column.total_compressed_size


def large_table(folder: Path, rows: int) -> dict[str, Any]:
    """One large run: opening, erasing one picture, erasing one label of a hundred."""
    place, watch = local_place(folder), Stopwatch()
    write_run(place, "large", range(rows))
    built = watch.lap()
    files = live_files(open_table(place))
    label = label_of(rows // 2)
    figures = {
        "bytes": sum(file.size for file in files),
        "bytes_a_row": column_bytes(folder, files[0]),
        "build_seconds": built,
        "opening": opening(place, rows),
        "erase_one": erasure(place, [path_of(rows // 3)]),
        "erase_label": erasure(place, [path_of(number) for number in range(rows) if label_of(number) == label]),
    }
    shutil.rmtree(folder)
    return figures


def small_runs(folder: Path, runs: int) -> dict[str, Any]:
    """Many runs of few images: opening before and after their files are merged."""
    place = local_place(folder)
    for run in range(runs):
        write_run(place, f"run-{run:05d}", range(run * FEW, (run + 1) * FEW))
    figures = {
        "opening": opening(place, runs * FEW),
        "merging": merging(place),
        "opening_merged": opening(place, runs * FEW),
    }
    shutil.rmtree(folder)
    return figures


def main() -> None:
    """The program."""
    asked = parse_args()
    told = {
        "labels": LABELS,
        "chunk_rows": CHUNK_ROWS,
        "small_runs": small_runs(asked.folder / "small", asked.runs),
        "large": large_table(asked.folder / "large", asked.rows),
    }
    print(f"{RESULT}{json.dumps(told)}", flush=True)


if __name__ == "__main__":
    main()

"""The stages of Airflow's side that hold every image: the plan of a run, and the map of its report.

`python -m tools.scale.airflow_stages STAGE IMAGES` runs one in this process and prints what it took.
"""

from __future__ import annotations

import io
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from PIL import Image
from verger.plan.feature_table import read_done_images
from verger.plan.planning import list_images, make_plan, manifest_bytes
from verger.publish.explorer.thumbnails import write_sheets
from verger.publish.plots import draw_map
from verger.run.settings import Settings
from verger.storage.layout import BucketLayout
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile, commit_chunk
from verger_rules.layout import chunk_folder
from verger_rules.schemas import FEATURIZED, TABLE_FILE

from tools.benchmarks.local_table import local_place
from tools.scale import canned_listing, synthetic
from tools.scale.stage_process import Stopwatch, run_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of a hundred images that the table is asked for, this many are new.
NEW_PERCENT = 1
FILE_ROWS = 1024
#: Files of a chunk of 20,000 images, which is one commit.
CHUNK_FILES = 20
RUN = "scheduled__2026-11-21T00-00-00-00-00-0a1b2c3d"
COMPUTED_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
COMPONENTS = 10


def plan(images: int) -> dict[str, Any]:
    """List, freeze, read what is done, subtract: the task plan_run of a table that has 99 of 100 images."""
    client = canned_listing.client(images)
    client.list_objects_v2(Bucket=synthetic.BUCKET)
    pages = -(-images // canned_listing.PAGE)
    watch = Stopwatch()
    # What making the pages costs is no part of listing them.
    for number in range(min(pages, 10)):
        canned_listing.page(number * canned_listing.PAGE, images)
    making = watch.lap() / min(pages, 10) * pages
    listed = list_images(client, BucketLayout(synthetic.BUCKET))
    listing = watch.lap() - making
    content = manifest_bytes(listed)
    freezing = watch.lap()
    with tempfile.TemporaryDirectory() as folder:
        done_files = write_identities(Path(folder), images * (100 - NEW_PERCENT) // 100)
        commit_files(Path(folder), done_files)
        watch.lap()
        done = read_done_images(pyarrow.fs.LocalFileSystem(), local_place(Path(folder)))
    reading = watch.lap()
    settings = Settings(bucket=synthetic.BUCKET, region="eu-west-1", k=1)
    previous = frozenset(image.path for image in listed)
    found = make_plan(
        listed, done, settings, previous_paths=previous, run_id="r", fingerprint="f" * 16, created_at="now"
    )
    planning = watch.lap()
    return {
        "to_do": found.todo,
        "pages": pages,
        "seconds": {"list": listing, "freeze": freezing, "read_done": reading, "subtract": planning},
        "manifest_bytes": len(content),
        "done_files": len(done_files),
    }


def write_identities(folder: Path, images: int, thumbnail: bytes = b"") -> list[TableFile]:
    """Files of the feature table as far as they are read here: all but the features."""
    files = []
    for number, start in enumerate(range(0, images, FILE_ROWS)):
        paths, etags = zip(*map(synthetic.identity, range(start, min(start + FILE_ROWS, images))), strict=True)
        chunk, part = divmod(number, CHUNK_FILES)
        path = folder / chunk_folder(FEATURIZED, RUN, chunk) / f"{part:05d}-{'0' * 32}.parquet"
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


def draw(images: int) -> dict[str, Any]:
    """Draw the map of a report."""
    generator = np.random.default_rng(1)
    columns = {f"pc_{number + 1}": generator.standard_normal(images) for number in range(COMPONENTS)}
    labels = [f"Apple {number % synthetic.LABELS:03d}" for number in range(images)]
    matrix = pa.table({"path": [synthetic.identity(number)[0] for number in range(images)], "label": labels, **columns})
    watch = Stopwatch()
    drawn = draw_map(matrix, "svg")
    return {"seconds": {"draw": watch.lap()}, "map_bytes": len(drawn)}


def sheets(images: int) -> dict[str, Any]:
    """Find each picture's thumbnail in the feature table and paste it into the explorer's sheets."""
    thumbnail = io.BytesIO()
    Image.effect_noise((64, 64), 40).convert("RGB").save(thumbnail, "JPEG", quality=80)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "sheets").mkdir()
        files = write_identities(folder, images, thumbnail.getvalue())
        answers = pa.table(
            {
                "file": [file.name for file in files for _ in range(file.rows)],
                "row": np.arange(images, dtype=np.int64) % FILE_ROWS,
            }
        )
        watch = Stopwatch()
        written = write_sheets(folder / "sheets", pyarrow.fs.LocalFileSystem(), local_place(folder).folder, answers)
        pasting = watch.lap()
        sizes = sum(file.stat().st_size for file in (folder / "sheets").iterdir())
    return {"sheets": written.sheets, "sheets_bytes": sizes, "seconds": {"sheets": pasting}}


if __name__ == "__main__":
    run_stage({"plan": plan, "draw": draw, "sheets": sheets}, sys.argv[1:])

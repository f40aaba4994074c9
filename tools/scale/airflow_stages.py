"""The stages of Airflow's side that hold every image: the plan of a run, and the map of its report.

`python -m tools.scale.airflow_stages STAGE IMAGES` runs one in this process and prints what it took.
"""

from __future__ import annotations

import io
import sys
import tempfile
import urllib.request
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from obstore.store import S3Store
from PIL import Image
from verger.plan.feature_table import read_done
from verger.plan.frozen_list import PART_ROWS, deciding, freeze_list, read_previous
from verger.plan.listing import objects_at_once, objects_page_by_page
from verger.plan.plan_space import PlanLimits, plan_space
from verger.plan.planning import ListObjects, list_bucket, make_plan
from verger.publish.explorer.thumbnails import write_sheets
from verger.publish.plots import draw_map
from verger.run.settings import Settings
from verger.storage.layout import BucketLayout
from verger_rules.addresses import S3Address
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile, commit_chunk
from verger_rules.layout import chunk_folder
from verger_rules.schemas import FEATURIZED, TABLE_FILE

from tools.benchmarks.local_table import local_place
from tools.scale import listing_server, synthetic
from tools.scale.stage_process import Stopwatch, run_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from obstore.store import S3Config

#: Of a hundred images that the table is asked for, this many are new.
NEW_PERCENT = 1
FILE_ROWS = 1024
#: Files of a chunk of 20,000 images, which is one commit.
CHUNK_FILES = 20
RUN = "scheduled__2026-11-21T00-00-00-00-00-0a1b2c3d"
COMPUTED_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
COMPONENTS = 10


def plan(images: int) -> dict[str, Any]:
    """List, subtract, freeze: the task plan_run of a table that has 99 of 100 images."""
    layout, settings = BucketLayout(synthetic.BUCKET), Settings(bucket=synthetic.BUCKET, region="eu-west-1", k=1)
    done = images * (100 - NEW_PERCENT) // 100
    with tempfile.TemporaryDirectory() as place:
        folder, previous = Path(place) / "table", Path(place) / "previous.parquet"
        done_files = write_identities(folder, done)
        commit_files(folder, done_files)
        write_previous(previous, done)
        with listing_server.serving(images) as address, plan_space(PlanLimits()) as space:
            watch = Stopwatch()
            listing = list_bucket(*listers(address, layout), layout, space)
            listed, requests = watch.lap(), _requests(address)
            watch.lap()
            read_done(pyarrow.fs.LocalFileSystem(), local_place(folder), space)
            reading = watch.lap()
            read_previous(pyarrow.fs.LocalFileSystem(), S3Address("", previous.as_posix().lstrip("/")), space)
            before = watch.lap()
            frozen = freeze_list(space, deciding("f" * 16, settings))
            freezing = watch.lap()
            found = make_plan(space, frozen, settings, run_id="r", fingerprint="f" * 16, created_at="now")
            planning = watch.lap()
            space_bytes = sum(file.stat().st_size for file in space.folder.rglob("*") if file.is_file())
            manifest_bytes = frozen.file.stat().st_size
    seconds = {"list": listed, "read_done": reading, "read_previous": before, "freeze": freezing, "subtract": planning}
    return {
        "listed": listing.images,
        "to_do": found.todo,
        "gone": found.gone,
        "requests": requests,
        "seconds": seconds,
        "manifest_bytes": manifest_bytes,
        "space_bytes": space_bytes,
        "done_files": len(done_files),
    }


def listers(address: str, layout: BucketLayout) -> tuple[ListObjects, ListObjects]:
    """Both ways to list a bucket; the second is not needed."""
    access: S3Config = {"endpoint": address, "access_key_id": "none", "secret_access_key": "none"}
    store = S3Store(synthetic.BUCKET, config=access, region="eu-west-1", client_options={"allow_http": True})
    s3 = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106
    )
    return partial(objects_at_once, store, s3, layout), partial(objects_page_by_page, s3, layout)


def _requests(address: str) -> int:
    with urllib.request.urlopen(f"{address}/requests") as answer:  # noqa: S310 -- our own server
        return int(answer.read())


def write_previous(file: Path, images: int) -> None:
    """The manifest of a run before, as far as a plan reads it."""
    with pq.ParquetWriter(file, pa.schema([("path", pa.string())]), compression="zstd") as writer:
        for first in range(0, images, PART_ROWS):
            numbers = range(first, min(first + PART_ROWS, images))
            writer.write_table(pa.table({"path": [synthetic.identity(number)[0] for number in numbers]}))


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

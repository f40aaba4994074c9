"""The stages of Airflow's side that go over every image: the plan of a run, and its publishing.

`python -m tools.scale.airflow_stages STAGE IMAGES` runs one in this process and prints what it took.
"""

from __future__ import annotations

import io
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
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
from verger.plan.frozen_list import deciding, freeze_list, read_previous
from verger.plan.listing import objects_at_once, objects_page_by_page
from verger.plan.plan_space import PlanLimits, on_disk, plan_space
from verger.plan.planning import ListObjects, list_bucket, make_plan
from verger.publish.explorer.data import RunFiles, write_data
from verger.publish.picture_lists import choose_shown, compare_with_before, note_pictures
from verger.publish.plots import draw_map
from verger.publish.run_rows import fetch_rows
from verger.publish.shown_pictures import gather_shown
from verger.run.settings import Settings
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.addresses import S3Address
from verger_rules.disk_database import disk_database
from verger_rules.layout import answers_file
from verger_rules.row_parts import PART_ROWS
from verger_rules.schemas import ANSWERS_ROWS

from tools.benchmarks.local_table import local_place
from tools.scale import listing_server, synthetic, synthetic_files
from tools.scale.stage_process import Stopwatch, run_stage

if TYPE_CHECKING:
    from obstore.store import S3Config

#: Of a hundred images that the table is asked for, this many are new.
NEW_PERCENT = 1
COMPONENTS = 10


def plan(images: int) -> dict[str, Any]:
    """List, subtract, freeze: the task plan_run of a table that has 99 of 100 images."""
    layout, settings = BucketLayout(synthetic.BUCKET), Settings(bucket=synthetic.BUCKET, region="eu-west-1", k=1)
    done = images * (100 - NEW_PERCENT) // 100
    with tempfile.TemporaryDirectory() as place:
        folder, previous = Path(place) / "table", Path(place) / "previous.parquet"
        done_files = synthetic_files.write_identities(folder, done)
        synthetic_files.commit_files(folder, done_files)
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


def write_run(root: Path, run: RunLayout, before: RunLayout, images: int) -> None:
    """The files of a run that have a row for each image, as its steps leave them, and the list of the run before."""

    def path_of(address: S3Address) -> Path:
        path = root / address.bucket / address.key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    manifest = path_of(run.run_file("manifest.parquet"))
    synthetic_files.write_manifest(manifest, images)
    synthetic_files.write_manifest(path_of(before.run_file("manifest.parquet")), images * (100 - NEW_PERCENT) // 100)
    generator = np.random.default_rng(1)
    answers = matrix = None
    with ExitStack() as open_files:
        for number, part in enumerate(synthetic_files.answers_of(images)):
            if number % (ANSWERS_ROWS // PART_ROWS) == 0:
                file = path_of(run.answers.child(answers_file(number * PART_ROWS // ANSWERS_ROWS)))
                answers = open_files.enter_context(pq.ParquetWriter(file, part.schema, compression="zstd"))
            scores = {f"pc_{at + 1}": generator.standard_normal(part.num_rows) for at in range(COMPONENTS)}
            rows = pa.table({"path": part["path"], "label": part["label"], **scores})
            if matrix is None:
                file = path_of(run.result_file("matrix.parquet"))
                matrix = open_files.enter_context(pq.ParquetWriter(file, rows.schema, compression="zstd"))
            if answers is not None:
                answers.write_table(part)
            matrix.write_table(rows)


def publish(images: int) -> dict[str, Any]:
    """What publish_results does with the rows of a run: check, compare with the run before, choose, draw, lay out."""
    thumbnail = io.BytesIO()
    Image.effect_noise((64, 64), 40).convert("RGB").save(thumbnail, "JPEG", quality=80)
    run, before = (RunLayout(BucketLayout(synthetic.BUCKET), name) for name in ("now", "before"))
    with tempfile.TemporaryDirectory() as place, disk_database(on_disk(PlanLimits())) as lists:
        root = Path(place)
        table = run.layout.feature_table("f" * 16)
        synthetic_files.write_identities(root / table.bucket / table.key, images, thumbnail.getvalue())
        write_run(root, run, before, images)
        filesystem = pyarrow.fs.SubTreeFileSystem(place, pyarrow.fs.LocalFileSystem())
        watch = Stopwatch()
        rows = fetch_rows(filesystem, run, before, lists.folder)
        fetching = watch.lap()
        changed = compare_with_before(lists, rows)
        comparing = watch.lap()
        pictures = note_pictures(lists, rows)
        checking = watch.lap()
        chosen = choose_shown(lists, pictures)
        choosing = watch.lap()
        shown = gather_shown(rows, chosen, lists.folder / "components.f32")
        gathering = watch.lap()
        drawn = draw_map(shown.points(), shown.of_pictures, "svg")
        drawing = watch.lap()
        data = root / "data"
        data.mkdir()
        write_data(data, RunFiles(filesystem, run, table, shown, rows))
        laying_out = watch.lap()
        written = sum(file.stat().st_size for file in data.iterdir())
        space_bytes = sum(file.stat().st_size for file in lists.folder.rglob("*") if file.is_file())
    return {
        "pictures": pictures,
        "shown": shown.pictures.num_rows,
        "added": changed["added"] if changed else 0,
        "map_bytes": len(drawn),
        "explorer_bytes": written,
        "space_bytes": space_bytes,
        "seconds": {
            "fetch": fetching, "compare": comparing, "check": checking, "choose": choosing, "gather": gathering,
            "draw": drawing, "explorer": laying_out,
        },
    }  # fmt: skip


if __name__ == "__main__":
    run_stage({"plan": plan, "publish": publish}, sys.argv[1:])

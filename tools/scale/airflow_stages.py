"""The stages of Airflow's side that hold every image: the plan of a run, and the map of its report.

`python -m tools.scale.airflow_stages STAGE IMAGES` runs one in this process and prints what it took.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from PIL import Image
from verger.plan.feature_table import DECODER_VERSION, Commit, read_done_images
from verger.plan.planning import list_images, make_plan, manifest_bytes
from verger.publish.explorer.thumbnails import write_sheets
from verger.publish.plots import draw_map
from verger.run.settings import Settings
from verger.storage.layout import BucketLayout

from tools.scale import canned_listing, synthetic
from tools.scale.stage_process import Stopwatch, run_stage

#: Of a hundred images that the table is asked for, this many are new.
NEW_PERCENT = 1
FILE_ROWS = 4096
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
        watch.lap()
        commit = Commit("all", features=tuple(done_files), rejects=(), replaces=())
        done = read_done_images(pyarrow.fs.LocalFileSystem(), folder, [commit])
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


def write_identities(folder: Path, images: int, thumbnail: bytes = b"") -> list[str]:
    """Files of the feature table as far as they are read here: all but the features; their names."""
    names = []
    for start in range(0, images, FILE_ROWS):
        paths, etags = zip(*map(synthetic.identity, range(start, min(start + FILE_ROWS, images))), strict=True)
        names.append(f"{start}.parquet")
        others = {"width": [100] * len(paths), "height": [100] * len(paths), "thumbnail": [thumbnail] * len(paths)}
        decoder = np.full(len(paths), DECODER_VERSION, np.int32)
        pq.write_table(
            pa.table({"path": paths, "etag": etags, "decoder": decoder, **others}),
            folder / names[-1],
            compression="zstd",
        )
    return names


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
        names = write_identities(folder, images, thumbnail.getvalue())
        pairs = [synthetic.identity(number) for number in range(images)]
        paths, etags = zip(*pairs, strict=True)
        pictures = pa.table({"path": paths, "etag": etags})
        commit = Commit("run.00000", features=tuple(names), rejects=(), replaces=())
        files = pyarrow.fs.LocalFileSystem()
        watch = Stopwatch()
        written = write_sheets(folder / "sheets", files, place, [commit], pictures, slug="run")
        pasting = watch.lap()
        sizes = sum(file.stat().st_size for file in (folder / "sheets").iterdir())
    return {"sheets": written.sheets, "sheets_bytes": sizes, "seconds": {"sheets": pasting}}


if __name__ == "__main__":
    run_stage({"plan": plan, "draw": draw, "sheets": sheets}, sys.argv[1:])

"""Runs of images that do not exist, stored as featurize stores them: files of a thousand rows, a commit a chunk."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile, commit_chunk
from verger_rules.layout import chunk_folder
from verger_rules.model import FEATURES
from verger_rules.schemas import FEATURIZED, TABLE_FILE, image_id

from spark_jobs.steps.chunking import PARTITION_IMAGES
from spark_jobs.store.table_file import REPEATING

if TYPE_CHECKING:
    from verger_rules.delta_table import TablePlace

LABELS = 100
CHUNK_ROWS = 20 * PARTITION_IMAGES
#: Bytes of a thumbnail, which no compression makes smaller.
THUMBNAIL = 1500
_COMPUTED_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
#: Images of a label that follow one another: as in a bucket, where a label is a folder.
_OF_LABEL = 10_000


def label_of(number: int) -> str:
    """The label of an image; those of a label follow one another."""
    return f"Apple Braeburn {number // _OF_LABEL:05d}"


def path_of(number: int) -> str:
    """The path of an image, ascending with the number."""
    return f"s3://orchard/images/{label_of(number)}/picture_{number:09d}_100.jpg"


def etag_of(number: int) -> str:
    """32 hex digits, others for each image."""
    return hashlib.md5(number.to_bytes(8, "big"), usedforsecurity=False).hexdigest()


def write_run(place: TablePlace, slug: str, images: range) -> None:
    """Store the rows of some images, all with features, and commit them chunk by chunk."""
    for chunk, start in enumerate(range(images.start, images.stop, CHUNK_ROWS)):
        stop = min(start + CHUNK_ROWS, images.stop)
        files = [
            _write_file(place, f"{chunk_folder(FEATURIZED, slug, chunk)}/{part:05d}-{first:032x}.parquet", rows)
            for part, first in enumerate(range(start, stop, PARTITION_IMAGES))
            for rows in [range(first, min(first + PARTITION_IMAGES, stop))]
        ]
        commit_chunk(place, slug, chunk, files)


def _write_file(place: TablePlace, name: str, images: range) -> TableFile:
    path = Path(place.folder.uri) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows_of(name.split("/")[1], images), path, compression="zstd", use_dictionary=REPEATING)
    return TableFile(name, FEATURIZED, len(images), path.stat().st_size)


def rows_of(slug: str, images: range) -> pa.Table:
    """Rows as workers store them; the features are noise, which compresses as little as real ones."""
    generator = np.random.default_rng(images.start)
    noise = generator.random((len(images), FEATURES), np.float32)
    paths = list(map(path_of, images))
    etags = list(map(etag_of, images))
    columns: dict[str, Any] = dict.fromkeys(TABLE_FILE.names, [None] * len(images))
    columns |= {
        "path": paths,
        "read_etag": etags,
        "decoder": [DECODER_VERSION] * len(images),
        "run": [slug] * len(images),
        "computed_at": [_COMPUTED_AT] * len(images),
        "image_id": list(map(image_id, paths)),
        "etag": etags,
        "label": list(map(label_of, images)),
        "width": [100] * len(images),
        "height": [100] * len(images),
        "thumbnail": [generator.bytes(THUMBNAIL) for _ in images],
        "features": pa.ListArray.from_arrays(np.arange(len(images) + 1, dtype=np.int32) * FEATURES, noise.ravel()),
    }
    return pa.table({name: pa.array(column, TABLE_FILE.field(name).type) for name, column in columns.items()})

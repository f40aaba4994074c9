"""The pictures of the measurements: drawn, stored, and listed in manifests."""

from __future__ import annotations

import hashlib
import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.schemas import MANIFEST

from tools.benchmarks.bench_stack import BUCKET
from tools.draw_images import Drawing, camera_size, file_name, write_images
from tools.drawing.catalogue import labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

UPLOADS_AT_ONCE = 8
LABELS = 8
MEGAPIXELS = 12.0


@dataclass(frozen=True)
class Picture:
    """A picture on this machine and in the bucket."""

    file: Path
    key: str
    label: str


def draw_small(folder: Path, images: int, first: int) -> list[Picture]:
    """Pictures of 100 x 100; the first ones lie under a prefix of their own."""
    pictures = [_picture(folder, number, f"small/{'first' if number < first else 'more'}") for number in range(images)]
    _draw_missing(folder, pictures, Drawing(images=images, labels=LABELS))
    return pictures


def draw_photographs(folder: Path, images: int, megapixels: float = MEGAPIXELS, drawn: int = 24) -> list[Picture]:
    """Pictures as large as a camera's: `drawn` different ones, each listed under as many keys as it takes."""
    originals = [_picture(folder, number, folder.name) for number in range(min(drawn, images))]
    _draw_missing(folder, originals, Drawing(images=len(originals), labels=LABELS, size=camera_size(megapixels)))
    return [
        replace(original, key=f"{folder.name}/{number // len(originals)}/{original.key.partition('/')[2]}")
        for number, original in zip(range(images), itertools.cycle(originals), strict=False)
    ]


def _draw_missing(folder: Path, pictures: Sequence[Picture], drawing: Drawing) -> None:
    """Draw, unless an earlier run left every picture."""
    if not all(picture.file.exists() for picture in pictures):
        write_images(folder, drawing)


def _picture(folder: Path, number: int, prefix: str) -> Picture:
    label, name = labels(LABELS)[number % LABELS], file_name(number // LABELS)
    return Picture(folder / label / name, f"{prefix}/{label}/{name}", label)


def upload(s3: S3Client, pictures: Sequence[Picture]) -> None:
    """Store pictures in the bucket."""
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        list(pool.map(lambda one: s3.put_object(Bucket=BUCKET, Key=one.key, Body=one.file.read_bytes()), pictures))


def put_manifest(s3: S3Client, name: str, pictures: Sequence[Picture]) -> str:
    """Store the manifest of some pictures; its address."""
    key = f"runs/{name}/manifest.parquet"
    stored = io.BytesIO()
    pq.write_table(
        pa.table([list(column) for column in zip(*sorted(map(_row, pictures)), strict=True)], MANIFEST), stored
    )
    s3.put_object(Bucket=BUCKET, Key=key, Body=stored.getvalue())
    return f"s3://{BUCKET}/{key}"


def _row(picture: Picture) -> tuple[str, str, str, int]:
    content = picture.file.read_bytes()
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return f"s3://{BUCKET}/{picture.key}", etag, picture.label, len(content)

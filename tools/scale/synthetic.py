"""Images that do not exist, as S3 lists them and as the feature table names them: for measuring what lists them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "orchard"
PREFIX = "images/"
LABELS = 131
SIZE = 100_000


def key_of(number: int) -> str:
    """A key as real data sets have them, ascending with the number."""
    return f"{PREFIX}Apple Braeburn {number % LABELS:03d}/picture_{number:09d}_100.jpg"


def etag_of(number: int) -> str:
    """An ETag: 32 hex digits, another for each image."""
    return hashlib.md5(number.to_bytes(8, "big"), usedforsecurity=False).hexdigest()


def identity(number: int) -> tuple[str, str]:
    """Path and ETag, as a row of the feature table has them."""
    return f"s3://{BUCKET}/{key_of(number)}", etag_of(number)


def ascending(images: int) -> Iterator[int]:
    """The numbers of so many images in the order of their keys."""
    for label in range(LABELS):
        yield from range(label, images, LABELS)

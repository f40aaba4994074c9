"""Copies pictures from a folder to the bucket: only what changed, several at a time."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What is taken for a picture by its name; whether it is one, featurize finds out and writes down.
PICTURE_SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .jfif .jpe .jpeg .jpg .mpo .png .tif .tiff .webp".split()  # noqa: SIM905 -- readable
)
#: S3 refuses longer keys (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
MAX_KEY_BYTES = 1024
#: DeleteObjects takes at most this many keys a call.
_DELETE_BATCH = 1000
_THREADS = 16


class SourceError(ValueError):
    """The folder to copy from cannot be used."""


@dataclass(frozen=True)
class LocalPicture:
    """A file of the source and the key that it has in the bucket."""

    file: Path
    key: str
    size: int


@dataclass(frozen=True)
class SyncPlan:
    """What is to be copied and deleted, and what was left out.

    Attributes:
        upload: pictures that are new or changed.
        unchanged: how many the bucket has already.
        delete: keys that the source does not have; empty unless asked for.
        left_out: files that are no pictures, or whose names no key can hold.
    """

    upload: tuple[LocalPicture, ...]
    unchanged: int
    delete: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default=())


def find_pictures(source: Path, images_prefix: str) -> tuple[list[LocalPicture], list[str]]:
    """Find the pictures below a folder, and the names of what is left out.

    Raises SourceError when the folder is missing or holds no picture.
    """
    if not source.is_dir():
        raise SourceError(f"source is {str(source)!r}: there is no such folder on this machine")
    pictures: list[LocalPicture] = []
    left_out: list[str] = []
    for file in sorted(_walk(source)):
        name = file.relative_to(source).as_posix()
        if file.suffix.lower() in PICTURE_SUFFIXES and is_usable_key(images_prefix + name) and file.is_file():
            pictures.append(LocalPicture(file, images_prefix + name, file.stat().st_size))
        else:
            left_out.append(name.encode("utf-8", "backslashreplace").decode())
    if not pictures:
        raise SourceError(
            f"source is {str(source)!r}: there is no picture in it "
            f"({len(left_out)} other files; pictures end in {', '.join(sorted(PICTURE_SUFFIXES))})"
        )
    return pictures, left_out


def _walk(source: Path) -> Iterator[Path]:
    # Links to folders are not followed: they can lead out of the source, or round in circles.
    for folder, _, files in os.walk(source, followlinks=False):
        for file in files:
            yield Path(folder) / file


def is_usable_key(key: str) -> bool:
    """Whether S3 and every reader can hold the key: valid UTF-8, printable, not too long."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:  # a file name that is no UTF-8
        return False
    return len(encoded) <= MAX_KEY_BYTES and key.isprintable()


def md5_of(file: Path) -> str:
    """The MD5 of a file: the ETag of an object that was put in one part without KMS."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def plan_sync(
    pictures: list[LocalPicture],
    present: Mapping[str, tuple[str, int]],
    *,
    left_out: list[str],
    delete_missing: bool,
) -> SyncPlan:
    """Compare the source with the bucket (key -> etag, size)."""

    def is_unchanged(picture: LocalPicture) -> bool:
        etag, size = present.get(picture.key, ("", -1))
        return size == picture.size and etag == md5_of(picture.file)

    with ThreadPoolExecutor(_THREADS) as threads:
        unchanged = list(threads.map(is_unchanged, pictures))
    upload = tuple(picture for picture, same in zip(pictures, unchanged, strict=True) if not same)
    missing = sorted(set(present) - {picture.key for picture in pictures}) if delete_missing else []
    return SyncPlan(upload, sum(unchanged), tuple(missing), tuple(left_out))


def list_present(s3: "S3Client", layout: BucketLayout) -> dict[str, tuple[str, int]]:
    """The objects under the images prefix: key -> (etag, size)."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=layout.bucket, Prefix=layout.images_prefix)
    return {
        entry["Key"]: (entry["ETag"].strip('"'), entry["Size"]) for page in pages for entry in page.get("Contents", ())
    }


def apply_sync(s3: "S3Client", bucket: str, plan: SyncPlan) -> None:
    """Copy and delete as planned. A file that fails ends the sync with its error; what was copied stays."""

    def upload(picture: LocalPicture) -> None:
        # One part, whatever the size (S3 takes up to 5 GB): the ETag stays the MD5 that the next sync compares.
        with picture.file.open("rb") as body:
            s3.put_object(Bucket=bucket, Key=picture.key, Body=body)

    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(upload, plan.upload):
            pass
    for start in range(0, len(plan.delete), _DELETE_BATCH):
        batch = plan.delete[start : start + _DELETE_BATCH]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True})
        if errors := answer.get("Errors"):
            raise OSError(f"{errors[0]['Key']!r} could not be deleted: {errors[0]['Message']}")


def sync_folder(s3: "S3Client", layout: BucketLayout, source: Path, *, delete_missing: bool) -> SyncPlan:
    """Make the bucket's pictures those of a folder; returns what was done."""
    pictures, left_out = find_pictures(source, layout.images_prefix)
    plan = plan_sync(pictures, list_present(s3, layout), left_out=left_out, delete_missing=delete_missing)
    apply_sync(s3, layout.bucket, plan)
    return plan

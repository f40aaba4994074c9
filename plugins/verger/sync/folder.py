"""Pictures in a folder of this machine."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from verger.sync.pictures import (
    LeftOut,
    SourceError,
    SourcePicture,
    StoredPicture,
    check_any,
    printable,
    reason_to_leave_out,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class FolderSource:
    """A folder: what is below it is copied under the same names."""

    def __init__(self, folder: Path, images_prefix: str) -> None:
        """Raises SourceError when there is no such folder."""
        if not folder.is_dir():
            raise SourceError(f"source is {str(folder)!r}: there is no such folder on this machine")
        self.folder = folder
        self.images_prefix = images_prefix

    def pictures(self) -> tuple[list[SourcePicture], list[LeftOut]]:
        """The pictures, by name; raises SourceError when there is none."""
        pictures: list[SourcePicture] = []
        left_out: list[LeftOut] = []
        for file in sorted(_walk(self.folder)):
            name = file.relative_to(self.folder).as_posix()
            key = self.images_prefix + name
            if reason := reason_to_leave_out(name, key):
                left_out.append(LeftOut(printable(name), reason))
            elif not file.is_file():
                left_out.append(LeftOut(printable(name), "no file, or a link that leads nowhere"))
            else:
                pictures.append(SourcePicture(name, key, file.stat().st_size))
        check_any(pictures, left_out, str(self.folder))
        return pictures, left_out

    def is_unchanged(self, picture: SourcePicture, stored: StoredPicture) -> bool:
        """Whether the bucket's object has the file's MD5."""
        return stored.etag == md5_of(self.folder / picture.name)

    def copy(self, picture: SourcePicture, s3: "S3Client", bucket: str) -> None:
        """Put a file."""
        # One part, whatever the size (S3 takes up to 5 GB): the ETag stays the MD5 that the next sync compares.
        with (self.folder / picture.name).open("rb") as body:
            s3.put_object(Bucket=bucket, Key=picture.key, Body=body)


def _walk(folder: Path) -> Iterator[Path]:
    # Links to folders are not followed: they can lead out of the source, or round in circles.
    for place, _, files in os.walk(folder, followlinks=False):
        for file in files:
            yield Path(place) / file


def md5_of(file: Path) -> str:
    """The MD5 of a file: the ETag of an object that was put in one part without KMS."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

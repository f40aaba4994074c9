"""Where pictures come from and go to: a folder of this machine or a prefix of a bucket, alike."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from verger.sync.folder import FolderSource, md5_of
from verger.sync.inside import open_inside
from verger.sync.pictures import SourceError, UnreadableError, is_plain_name, reason_to_leave_out
from verger.sync.stored import list_objects
from verger_rules.addresses import S3Address, parse_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

#: How a picture is known to be the same: its size and the MD5 of its bytes, or whatever its bucket calls its ETag.
Identity = tuple[str, int]


class Place(Protocol):
    """A collection of pictures, each known by its name relative to the place: `<label>/<file>`."""

    def names(self) -> list[str]:
        """The pictures that are there."""

    def identities(self, names: list[str]) -> dict[str, Identity]:
        """Of those of some pictures that are there."""

    def read(self, name: str) -> bytes:
        """A picture's bytes."""

    def write(self, name: str, content: bytes) -> None:
        """Put a picture, whole or not at all."""


@dataclass(frozen=True)
class FolderPlace:
    """A folder of this machine."""

    root: Path

    def names(self) -> list[str]:
        """The pictures below the folder. Raises SourceError when there is none."""
        pictures, _ = FolderSource(self.root, "").pictures()
        return [picture.name for picture in pictures]

    def identities(self, names: list[str]) -> dict[str, Identity]:
        """MD5 and size of those that are there."""
        found: dict[str, Identity] = {}
        for name in names:
            with contextlib.suppress(UnreadableError), open_inside(self.root.resolve(), name) as file:
                found[name] = (md5_of(file), os.fstat(file.fileno()).st_size)
        return found

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises SourceError for what is not a file of the folder any more."""
        try:
            with open_inside(self.root.resolve(), name) as file:
                return file.read()
        except UnreadableError as error:
            raise SourceError(f"{self.root / name}: {error}") from error

    def write(self, name: str, content: bytes) -> None:
        """Write beside its place, then move it there.

        Raises:
            ValueError: the name leads out of the folder.
        """
        if not is_plain_name(name):
            raise ValueError(f"{name!r} would lie outside of {self.root}: it is not copied")
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".sample-", delete=False) as file:
            file.write(content)
        Path(file.name).chmod(0o644)
        Path(file.name).replace(target)


@dataclass(frozen=True)
class BucketPlace:
    """A prefix of a bucket, ending in `/` or empty."""

    s3: S3Client
    bucket: str
    prefix: str

    def names(self) -> list[str]:
        """The objects below the prefix that are named as pictures are."""
        return sorted(name for name in self._present() if reason_to_leave_out(name, self.prefix + name) is None)

    def identities(self, names: list[str]) -> dict[str, Identity]:
        """ETag and size of those that are there."""
        present = self._present()
        return {name: present[name] for name in names if name in present}

    def read(self, name: str) -> bytes:
        """An object's bytes."""
        return self.s3.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"].read()

    def write(self, name: str, content: bytes) -> None:
        """Put the object in one part: its ETag is then the MD5 that the next copy compares."""
        self.s3.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=content)

    def _present(self) -> Mapping[str, Identity]:
        found = list_objects(self.s3, S3Address(self.bucket, self.prefix))
        return {key.removeprefix(self.prefix): (stored.etag, stored.size) for key, stored in found.items()}


def bucket_of(address: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://bucket/prefix`. Raises ValueError for anything else."""
    bucket, key = parse_uri(address)
    return bucket, f"{key.rstrip('/')}/" if key.strip("/") else ""

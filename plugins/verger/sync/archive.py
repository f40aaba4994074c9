"""Pictures in a zip, which may be hostile: nothing is unpacked unmeasured, or written under a name that it chose."""

import hashlib
import stat
import threading
import zipfile
import zlib
from collections.abc import Iterable
from itertools import pairwise
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

#: What the jobs decode at most (featurize.py, --max-image-bytes): a larger one would be a reject anyway.
MAX_PICTURE_BYTES = 100_000_000
#: Pictures are compressed already. Drawings in BMP shrink 100 times at times; a bomb grows by a thousand and more.
MAX_GROWTH = 200
#: Below this an archive is harmless, however much it grows.
HARMLESS_BYTES = 1_000_000_000
#: Larger pictures are held in memory one after the other, not sixteen at once.
_LARGE_BYTES = 16_000_000
_ENCRYPTED = 0x1
#: A local header before an entry's data, without its name and its extra fields.
_HEADER_BYTES = 30


class ZipSource:
    """A zip file on this machine; its names become the bucket's."""

    def __init__(self, file: Path, images_prefix: str, shown: str = "") -> None:
        """Open it; raises SourceError when it is no zip, or a bomb.

        `shown` is how it is called in messages, the file's own path if empty.
        """
        self.images_prefix = images_prefix
        self.shown = shown or str(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
            raise SourceError(f"source is {self.shown!r}: it cannot be read as a zip file ({error})") from error
        # The last of several entries of one name is the one that an unpacker would leave.
        self._entries = {entry.filename: entry for entry in self._zip.infolist() if not entry.is_dir()}
        self._large = threading.Lock()
        try:
            check_no_bomb(self._zip.infolist(), file.stat().st_size, self.shown)
        except SourceError:
            self.close()
            raise

    def close(self) -> None:
        """Let the file go."""
        self._zip.close()

    def pictures(self) -> tuple[list[SourcePicture], list[LeftOut]]:
        """The pictures, by name; raises SourceError when there is none."""
        pictures: list[SourcePicture] = []
        left_out: list[LeftOut] = []
        for name, entry in sorted(self._entries.items()):
            key = self.images_prefix + name
            if reason := reason_to_leave_out(name, key) or _reason_to_leave_entry_out(entry):
                left_out.append(LeftOut(printable(name), reason))
            else:
                pictures.append(SourcePicture(name, key, entry.file_size))
        check_any(pictures, left_out, self.shown)
        return pictures, left_out

    def is_unchanged(self, picture: SourcePicture, stored: StoredPicture) -> bool:
        """Whether the bucket's object has the unpacked entry's MD5."""
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with self._zip.open(self._entries[picture.name]) as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
            raise self._damaged(picture, error) from error
        return stored.etag == digest.hexdigest()

    def copy(self, picture: SourcePicture, s3: "S3Client", bucket: str) -> None:
        """Put an unpacked entry."""
        if picture.size <= _LARGE_BYTES:
            s3.put_object(Bucket=bucket, Key=picture.key, Body=self._read(picture))
            return
        with self._large:
            s3.put_object(Bucket=bucket, Key=picture.key, Body=self._read(picture))

    def _read(self, picture: SourcePicture) -> bytes:
        # zipfile gives no more than the size that the entry declares, but takes the start of more for the whole.
        entry = self._entries[picture.name]
        try:
            content = self._zip.read(entry)
        except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
            raise self._damaged(picture, error) from error
        if len(content) != entry.file_size or zlib.crc32(content) != entry.CRC:
            raise self._damaged(picture, "it is not what the archive says of it")
        return content

    def _damaged(self, picture: SourcePicture, error: Exception | str) -> SourceError:
        return SourceError(f"source is {self.shown!r}: {printable(picture.name)!r} in it is damaged ({error})")


def _reason_to_leave_entry_out(entry: zipfile.ZipInfo) -> str | None:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "a link"
    if entry.flag_bits & _ENCRYPTED:
        return "encrypted"
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}:
        return f"packed with method {entry.compress_type}, which is not known here"
    if entry.file_size > MAX_PICTURE_BYTES:
        return f"larger than {MAX_PICTURE_BYTES:,} bytes"
    return None


def check_no_bomb(entries: Iterable[zipfile.ZipInfo], archive_bytes: int, shown: str) -> None:
    """Raise SourceError for an archive that unpacks to far more than it holds, or whose entries share their data."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    unpacked = sum(entry.file_size for entry in ordered)
    if unpacked > max(HARMLESS_BYTES, MAX_GROWTH * archive_bytes):
        raise SourceError(
            f"source is {shown!r}: its {archive_bytes:,} bytes unpack to {unpacked:,}, as no pictures do: a zip bomb?"
        )
    for entry, following in pairwise(ordered):
        if entry.header_offset + _HEADER_BYTES + entry.compress_size > following.header_offset:
            raise SourceError(
                f"source is {shown!r}: its entries {printable(entry.filename)!r} and "
                f"{printable(following.filename)!r} share their data, as only a zip bomb's do"
            )

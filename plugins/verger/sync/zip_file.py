"""Reads a zip that nobody vouches for, in bounded memory: what it says of itself is measured before it is believed."""

import hashlib
import os
import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Self

from verger.storage.file_names import printable
from verger.sync.zip_names import read_name

#: What the jobs decode at most (featurize.py, --max-image-bytes): a larger file would be a reject anyway.
MAX_FILE_BYTES = 100_000_000
#: zipfile makes about 700 bytes of memory of an entry, and reads the whole directory at once.
MAX_ENTRIES = 300_000
MAX_DIRECTORY_BYTES = 64_000_000
#: Pictures are compressed already. Drawings in BMP shrink 100 times at times; a bomb grows by a thousand and more.
MAX_GROWTH = 200
#: Below this an archive is harmless, however much it grows.
HARMLESS_BYTES = 1_000_000_000
#: The compressions that zipfile reads no further than it is asked to; bzip2 and LZMA it expands whole, in memory.
_BOUNDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
#: Larger files are held in memory one after the other, not by all threads at once.
_LARGE_BYTES = 8_000_000
_BLOCK = 1 << 20
#: Flags of an entry: encrypted, and encrypted so that even the directory is masked (APPNOTE 4.4.4, bits 0, 6 and 13).
_ENCRYPTED = 0x1 | 0x40 | 0x2000
#: A local header before an entry's data, without its name and its extra fields.
_HEADER_BYTES = 30
_DIRECTORY_ENTRY = b"PK\x01\x02"
#: What zipfile raises for an archive that is damaged, or made to look so. RuntimeError: encrypted after all.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, NotImplementedError, RuntimeError,
    ValueError, LookupError,
)  # fmt: skip


class ArchiveError(ValueError):
    """The archive cannot be used, or is damaged; the message says why."""


class ZipArchive:
    """A zip file of this machine, open for reading from many threads."""

    def __init__(self, file: Path) -> None:
        """Open it; raises ArchiveError when it is not a zip, has too many entries, or is a bomb."""
        try:
            self._file = _MeasuredFile(file)
        except OSError as error:
            raise ArchiveError(f"it cannot be read as a zip file ({error})") from error
        self._large = threading.Lock()
        try:
            self._zip = self._open()
            check_no_bomb(self._zip.infolist(), file.stat().st_size, self._zip.start_dir)
        except ArchiveError:
            self._file.close()
            raise

    def _open(self) -> zipfile.ZipFile:
        try:
            opened = zipfile.ZipFile(self._file)
        except ArchiveError:
            raise
        except _BROKEN as error:
            raise ArchiveError(f"it cannot be read as a zip file ({error})") from error
        self._file.largest_read = None
        return opened

    def __enter__(self) -> Self:
        """The archive itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the file go."""
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self._zip.close()
        self._file.close()

    @property
    def comment(self) -> bytes:
        """What the archive says of itself as a whole; empty when it says nothing."""
        return self._zip.comment

    def entries(self) -> list[zipfile.ZipInfo]:
        """Every entry but the folders, in the archive's order; several may have one name."""
        # Not is_dir(), which fails for a name that is empty, and takes what has bytes for a folder.
        return [entry for entry in self._zip.infolist() if entry.file_size or not read_name(entry)[0].endswith("/")]

    def read(self, entry: zipfile.ZipInfo) -> bytes:
        """A file of the archive; raises ArchiveError when it is damaged, or is not what the archive says of it.

        One byte more than declared is asked for, so that zipfile comes to the end and compares the CRC. Asked for all,
        it would expand whatever the compressed data holds before it cuts that to the size.
        """
        if reason := reason_not_to_read(entry):
            raise ArchiveError(f"{_named(entry)} in it is not read: {reason}")
        with self._reading(entry) as stream:
            content = stream.read(entry.file_size + 1)
            if len(content) != entry.file_size or zlib.crc32(content) != entry.CRC:
                raise ArchiveError(_damaged(entry, "it is not what the archive says of it"))
            return content

    def use(self, entry: zipfile.ZipInfo, work: Callable[[bytes], None]) -> None:
        """Do something with a file's bytes; large ones are in memory one after the other. Raises as `read`."""
        if entry.file_size <= _LARGE_BYTES:
            work(self.read(entry))
            return
        with self._large:
            work(self.read(entry))

    def md5(self, entry: zipfile.ZipInfo) -> str:
        """The MD5 of a file's bytes, in hex; raises ArchiveError as `read` does, and holds a block at a time."""
        if reason := reason_not_to_read(entry):
            raise ArchiveError(f"{_named(entry)} in it is not read: {reason}")
        digest, size = hashlib.md5(usedforsecurity=False), 0
        with self._reading(entry) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
        if size != entry.file_size:
            raise ArchiveError(_damaged(entry, "it is not what the archive says of it"))
        return digest.hexdigest()

    @contextmanager
    def _reading(self, entry: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        try:
            with self._zip.open(entry) as stream:
                yield stream
        except ArchiveError:
            raise
        except _BROKEN as error:
            raise ArchiveError(_damaged(entry, error)) from error


class _MeasuredFile:
    """A file that refuses the reads by which zipfile would expand a huge directory.

    zipfile believes the end of the archive, reads the directory in one piece and makes an object of each of its
    entries, before anybody can count them. Here every read passes while it opens.
    """

    def __init__(self, file: Path) -> None:
        self._stream = file.open("rb")
        self._bytes = os.fstat(self._stream.fileno()).st_size
        #: None once the archive is open.
        self.largest_read: int | None = MAX_DIRECTORY_BYTES
        self.seek, self.tell, self.seekable, self.close = (
            self._stream.seek, self._stream.tell, self._stream.seekable, self._stream.close,
        )  # fmt: skip

    def read(self, size: int = -1) -> bytes:
        """Read as a file does; raises ArchiveError for more than the archive's directory may have."""
        if self.largest_read is None:
            return self._stream.read(size)
        # A read takes as much memory as it asks for, whatever there is to come.
        rest = max(0, self._bytes - self._stream.tell())
        if max(size, rest if size < 0 else 0) > self.largest_read:
            raise ArchiveError(f"its directory has more than the {self.largest_read:,} bytes that are read of one")
        content = self._stream.read(rest if size < 0 else min(size, rest))
        if content.count(_DIRECTORY_ENTRY) > MAX_ENTRIES:
            raise ArchiveError(f"it has more than {MAX_ENTRIES:,} entries: pack the pictures in several archives")
        return content


def reason_not_to_read(entry: zipfile.ZipInfo) -> str | None:
    """Why a file of an archive is not read, judged by what the directory says of it; None when it is."""
    mode = entry.external_attr >> 16
    reasons = {
        "a link": stat.S_ISLNK(mode),
        "neither a file nor a folder": stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFLNK},
        "its name holds a NUL": "\0" in entry.orig_filename,
        "encrypted": entry.flag_bits & _ENCRYPTED,
        f"packed with method {entry.compress_type}, and only stored and deflated entries are read": (
            entry.compress_type not in _BOUNDED
        ),
        f"larger than {MAX_FILE_BYTES:,} bytes": entry.file_size > MAX_FILE_BYTES,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def check_no_bomb(entries: list[zipfile.ZipInfo], archive_bytes: int, directory_at: int) -> None:
    """Raise ArchiveError for an archive that unpacks to far more than it holds, or whose entries share their data.

    `directory_at` is where its directory begins: an entry's data ends before it.
    """
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    unpacked = sum(entry.file_size for entry in ordered)
    if unpacked > max(HARMLESS_BYTES, MAX_GROWTH * archive_bytes):
        raise ArchiveError(f"its {archive_bytes:,} bytes unpack to {unpacked:,}, as no pictures do: a zip bomb?")
    if ordered and ordered[0].header_offset < 0:
        raise ArchiveError("it cannot be read as a zip file (its entries would begin before it does)")
    for entry, following in pairwise(ordered):
        if _end(entry) > following.header_offset:
            raise ArchiveError(
                f"its entries {_named(entry)} and {_named(following)} share their data, as only a zip bomb's do"
            )
    if ordered and _end(ordered[-1]) > directory_at:
        raise ArchiveError(f"its entry {_named(ordered[-1])} reaches into the directory, as none does")


def _end(entry: zipfile.ZipInfo) -> int:
    return entry.header_offset + _HEADER_BYTES + entry.compress_size


def _named(entry: zipfile.ZipInfo) -> str:
    return repr(printable(read_name(entry)[0]))


def _damaged(entry: zipfile.ZipInfo, error: Exception | str) -> str:
    return f"{_named(entry)} in it is damaged ({error})"

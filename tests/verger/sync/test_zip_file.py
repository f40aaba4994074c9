"""Reading a zip that was made to do harm: bounded memory, one clear error, and never more than it declared."""

import contextlib
import io
import os
import random
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verger.sync import zip_file
from verger.sync.zip_file import ArchiveError, ZipArchive, reason_not_to_read

MIB = 1 << 20


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", method) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return bytearray(stored.getvalue())


def declaring(mib: int, size: int, method: int) -> bytearray:
    """An archive of one file of zeros whose directory and header declare another size, and the CRC of so many bytes."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", method) as archive, archive.open("1.jpg", "w") as file:
        for _ in range(mib):
            file.write(bytes(MIB))
    made = bytearray(stored.getvalue())
    for at, offset in ((0, 14), (made.rindex(b"PK\x01\x02"), 16)):
        struct.pack_into("<I", made, at + offset, zlib.crc32(bytes(size)))
        struct.pack_into("<I", made, at + offset + 8, size)
    return made


def directory_of(count: int, name: Callable[[int], bytes]) -> bytearray:
    """An archive of empty entries, which are all in its directory, as one is made by hand."""
    local, directory = bytearray(), bytearray()
    for number in range(count):
        called = name(number)
        directory += struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(called), 0, 0, 0, 0, 0, len(local)
        ) + called  # fmt: skip
        local += struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, len(called), 0) + called
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), len(local))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(local) + len(directory), 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return local + directory + record + locator + end


#: Opens an archive, reads what may be read of it, and tells by how much that raised this process's peak.
PROBE = r"""
import re, sys
from pathlib import Path
from verger.sync.pictures import SourceError
from verger.sync.archive import ZipSource

def peak():
    # Not resource's ru_maxrss: that begins with what the parent had.
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])

before = peak()
try:
    source = ZipSource(Path(sys.argv[1]), "images/")
    pictures, left_out = source.pictures()
    for picture in pictures[:3]:
        source.content(picture)
        source._archive.use(source._entries[picture.name], len)
    print(len(pictures), "read")
except SourceError as error:
    print(error)
print(peak() - before)
"""


def probe(file: Path) -> tuple[str, int]:
    """What became of it, and the MiB that it took."""
    command = [sys.executable, "-c", PROBE, str(file)]
    paths = {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=os.environ | paths, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *told, kib = done.stdout.splitlines()
    return " ".join(told), int(kib) // 1024


HOSTILE: dict[str, tuple[Callable[[], bytearray], str]] = {
    "bzip2 that expands": (lambda: declaring(300, 100, zipfile.ZIP_BZIP2), "no picture in it"),
    "lzma that expands": (lambda: declaring(300, 100, zipfile.ZIP_LZMA), "no picture in it"),
    "deflate with the right CRC": (lambda: declaring(300, 100, zipfile.ZIP_DEFLATED), "1 read"),
    "deflate that declares too much": (lambda: declaring(1, 90_000_000, zipfile.ZIP_DEFLATED), "damaged"),
    "stored that declares too much": (lambda: declaring(1, 90_000_000, zipfile.ZIP_STORED), "damaged"),
    "a million empty entries": (lambda: directory_of(1_000_000, lambda number: b"%d.jpg" % number), "entries"),
    "a directory of long names": (
        lambda: directory_of(3000, lambda number: b"%d" % number + b"a" * 60_000 + b".jpg"),
        "64,000,000 bytes",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_takes_little_memory_whatever_it_would_expand_to(kind: str, tmp_path: Path) -> None:
    make, told = HOSTILE[kind]
    file = tmp_path / "a.zip"
    file.write_bytes(make())
    became, mib = probe(file)
    assert told in became
    assert mib < 120


def test_the_most_entries_that_are_allowed_fit_a_small_container(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    names = "fruits-360/Training/Apple Braeburn/r_%d_100.jpg"
    file.write_bytes(directory_of(zip_file.MAX_ENTRIES, lambda number: (names % number).encode()))
    became, mib = probe(file)
    assert became == f"{zip_file.MAX_ENTRIES} read"
    assert mib < 400


def opened(file: Path, content: bytes | bytearray) -> ZipArchive:
    file.write_bytes(content)
    return ZipArchive(file)


def test_an_archive_of_more_entries_than_are_allowed_is_refused_before_it_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zipped({f"{number}.jpg": b"" for number in range(10)})
    monkeypatch.setattr(zip_file, "MAX_ENTRIES", 10)
    with opened(tmp_path / "a.zip", content) as archive:
        assert len(archive.entries()) == 10
    # The end of the archive counts one; the directory has eleven.
    more = zipped({f"{number}.jpg": b"" for number in range(11)})
    struct.pack_into("<HH", more, more.rindex(b"PK\x05\x06") + 8, 1, 1)
    with pytest.raises(ArchiveError, match="more than 10 entries"):
        opened(tmp_path / "b.zip", more)


@pytest.mark.parametrize(
    ("offset", "value"), [(8, 0xFFFF), (10, 0xFFFF), (12, 0xFFFFFFFF), (16, 0xFFFFFFFF), (12, 1 << 31)]
)
def test_an_end_that_lies_about_the_directory_is_one_clear_error(tmp_path: Path, offset: int, value: int) -> None:
    content = zipped({"1.jpg": b"x"})
    struct.pack_into("<H" if offset < 12 else "<I", content, content.rindex(b"PK\x05\x06") + offset, value)
    if offset < 12:  # the counts alone decide nothing
        opened(tmp_path / "a.zip", content).close()
        return
    with pytest.raises(ArchiveError, match=r"zip file|directory"):
        opened(tmp_path / "a.zip", content)


def zip64(size: int, compressed: int, at: int) -> bytearray:
    """An entry whose sizes and place stand in the extra field that was made for large ones."""
    content = zipped({"1.jpg": b"x" * 10}, zipfile.ZIP_STORED)
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry, tail = content[start:end], content[end:]
    extra = struct.pack("<HHQQQ", 1, 24, size, compressed, at)
    struct.pack_into("<II", entry, 20, 0xFFFFFFFF, 0xFFFFFFFF)
    struct.pack_into("<H", entry, 30, len(extra))
    struct.pack_into("<I", entry, 42, 0xFFFFFFFF)
    struct.pack_into("<I", tail, 12, len(entry) + len(extra))
    return content[:start] + entry + extra + tail


@pytest.mark.parametrize("size", [10, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("compressed", [10, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("at", [0, 1 << 40, (1 << 63) + 5])
def test_sizes_and_places_of_zip64_are_believed_no_more_than_others(
    tmp_path: Path, size: int, compressed: int, at: int
) -> None:
    try:
        with opened(tmp_path / "a.zip", zip64(size, compressed, at)) as archive:
            (entry,) = archive.entries()
            assert archive.read(entry) == b"x" * 10
    except ArchiveError:
        assert (size, compressed, at) != (10, 10, 0)
    else:
        assert (size, compressed, at) == (10, 10, 0)


def test_an_entry_that_reaches_into_the_directory_is_refused(tmp_path: Path) -> None:
    content = zipped({"1.jpg": b"x" * 10}, zipfile.ZIP_STORED)
    struct.pack_into("<II", content, content.index(b"PK\x01\x02") + 20, 60, 60)
    with pytest.raises(ArchiveError, match="reaches into the directory"):
        opened(tmp_path / "a.zip", content)


@pytest.mark.parametrize("declared", [1, 99, 101, 5000])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_file_of_another_size_than_declared_is_never_given(tmp_path: Path, declared: int, method: int) -> None:
    content = zipped({"1.jpg": bytes(100)}, method)
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, declared)
    with opened(tmp_path / "a.zip", content) as archive:
        (entry,) = archive.entries()
        for use in (archive.read, archive.md5):
            with pytest.raises(ArchiveError, match="damaged"):
                use(entry)


def test_a_header_that_differs_from_the_directory_is_damage_or_not_believed(tmp_path: Path) -> None:
    renamed = zipped({"1.jpg": b"x"})
    renamed[30] = ord("2")
    with opened(tmp_path / "a.zip", renamed) as archive, pytest.raises(ArchiveError, match="damaged"):
        archive.read(archive.entries()[0])
    sizes = zipped({"1.jpg": b"x" * 50})
    struct.pack_into("<II", sizes, 18, 1 << 30, 1 << 31)
    with opened(tmp_path / "b.zip", sizes) as archive:
        assert archive.read(archive.entries()[0]) == b"x" * 50


def test_what_ordinary_programs_write_is_read(tmp_path: Path) -> None:
    """A program before the archive, sizes that follow the data, a comment, folders, and a name in another code."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

        seek = None  # type: ignore[assignment] # what a pipe cannot do

    stored = Pipe()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("Apple/", b"")
        made.writestr("Apple/é.jpg", b"an apple")
        made.comment = b"PK\x01\x02 fruits"
    with opened(tmp_path / "a.zip", b"#!/bin/sh\nexit\n" + stored.getvalue()) as archive:
        (entry,) = archive.entries()
        assert entry.flag_bits & 8
        assert (entry.filename, archive.read(entry)) == ("Apple/é.jpg", b"an apple")


def test_a_file_without_a_name_is_left_out(tmp_path: Path) -> None:
    content = zipped({"1.jpg": b"x"}).replace(b"1.jpg", b"\0.jpg")
    with opened(tmp_path / "a.zip", content) as archive:
        (entry,) = archive.entries()
        assert (entry.filename, reason_not_to_read(entry)) == ("", "its name holds a NUL")


def info(name: str = "1.jpg", *, mode: int = 0, flags: int = 0, method: int = 8, size: int = 1) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr, entry.flag_bits, entry.compress_type, entry.file_size = mode << 16, flags, method, size
    return entry


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (info(mode=stat.S_IFREG | 0o644), None),
        (info(method=0), None),
        (info(mode=stat.S_IFLNK | 0o777), "a link"),
        (info(mode=stat.S_IFIFO), "neither a file nor a folder"),
        (info(mode=stat.S_IFCHR), "neither a file nor a folder"),
        (info(mode=stat.S_IFSOCK), "neither a file nor a folder"),
        (info("1.jpg\0.txt"), "its name holds a NUL"),
        (info(flags=1), "encrypted"),
        (info(flags=0x40), "encrypted"),
        (info(flags=0x2000), "encrypted"),
        (info(method=12), "packed with method 12"),
        (info(method=14), "packed with method 14"),
        (info(method=9), "packed with method 9"),
        (info(method=93), "packed with method 93"),
        (info(method=95), "packed with method 95"),
        (info(size=100_000_001), "larger than 100,000,000 bytes"),
    ],
)
def test_only_plain_stored_and_deflated_files_of_bounded_size_are_read(
    entry: zipfile.ZipInfo, reason: str | None
) -> None:
    found = reason_not_to_read(entry)
    assert (found is None) == (reason is None)
    assert (found or "").startswith(reason or "")


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.integers(1, 12))
def test_bytes_changed_anywhere_give_what_was_packed_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, seed: int, changes: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- for a test
    entries = {"Apple/1.jpg": b"an apple" * 40, "Kiwi/2.jpg": bytes(300), "Pêche/3.png": b"peach"}
    content = zipped(entries, chance.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    for _ in range(changes):
        content[chance.randrange(len(content))] = chance.choice([0, 1, 0xFF, chance.randrange(256)])
    file = tmp_path_factory.getbasetemp() / "fuzzed.zip"
    with contextlib.suppress(ArchiveError), opened(file, content) as archive:
        for entry in archive.entries():
            if reason_not_to_read(entry) is None:
                assert len(archive.read(entry)) == entry.file_size

"""Fetching a public zip: continued when interrupted, verified, unpacked with care, all or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.sync.zip_file import ArchiveError

from tests.tools.library import CONTENT, Library, serving
from tests.verger.sync.zips import Entry, write_entries
from tools import fetch_fruits360
from tools.fetching.layouts import PARTS
from tools.fetching.unpacking import MOST_NOTES, place_of, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@pytest.fixture
def library() -> Iterator[Library]:
    """A server of this test alone."""
    with serving() as told:
        yield told


def zipped(files: Mapping[str, bytes]) -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stored.getvalue()


FRUITS = {
    "fruits/fruits-360/Training/Apple Braeburn/0_100.jpg": b"apple 0",
    "fruits/fruits-360/Training/Kiwi/r_0_100.jpg": b"kiwi",
    "fruits/fruits-360/Test/Kiwi/r_0_100.jpg": b"kiwi in the test",
    "fruits/fruits-360/LICENSE": b"MIT License\n\nCopyright",
    "fruits/fruits-360/test-multiple_fruits/apple.jpg": b"no label",
    "fruits/original/Validation/pear_1/r0_0.jpg": b"pear",
    "__MACOSX/fruits/fruits-360/Test/Kiwi/._r_0_100.jpg": b"what macOS adds",
}


def run(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(fetch_fruits360.__file__), str(output), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_program_fetches_unpacks_and_writes_down_where_from(library: Library, tmp_path: Path) -> None:
    library.content = zipped(FRUITS)
    digest = hashlib.sha256(library.content).hexdigest()
    done = run(tmp_path / "f", "--url", library.url, "--sha256", digest)
    assert done.returncode == 0, done.stderr
    assert "CC BY-SA 4.0" in done.stdout
    assert "MIT License" in done.stdout
    found = files_in(tmp_path / "f")
    source = json.loads(found.pop("SOURCE.json"))
    assert found == {
        "fruits-360/Training/Apple Braeburn/0_100.jpg": b"apple 0",
        "fruits-360/Training/Kiwi/r_0_100.jpg": b"kiwi",
        "fruits-360/Test/Kiwi/r_0_100.jpg": b"kiwi in the test",
        "original/Validation/pear_1/r0_0.jpg": b"pear",
    }
    assert (source["sha256"], source["url"], source["labels"]) == (digest, library.url, 3)
    assert source["pictures"] == {"fruits-360/Test": 1, "fruits-360/Training": 2, "original/Validation": 1}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f"]
    again = run(tmp_path / "f", "--url", library.url)
    assert (again.returncode, library.asked) == (0, 1)


def test_an_archive_of_unknown_length_is_taken_when_it_came_to_its_end(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub's archives: one that broke off is fetched anew, and never taken for the whole."""
    library.content, library.chunked, library.broken = zipped(FRUITS), True, 2
    monkeypatch.setattr("verger.sync.download.time.sleep", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["fetch_fruits360.py", str(tmp_path / "f"), "--url", library.url])
    assert fetch_fruits360.main() == 0
    assert (library.asked, library.broken) == (3, 0)
    assert files_in(tmp_path / "f")["fruits-360/Training/Kiwi/r_0_100.jpg"] == b"kiwi"


def test_one_part_can_be_had_alone_and_the_archive_kept(library: Library, tmp_path: Path) -> None:
    library.content = zipped(FRUITS)
    assert run(tmp_path / "f", "--url", library.url, "--part", "Test", "--keep-archive").returncode == 0
    assert set(files_in(tmp_path / "f")) == {"fruits-360/Test/Kiwi/r_0_100.jpg", "SOURCE.json"}
    assert (tmp_path / "f.zip").read_bytes() == library.content


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--sha256", "0" * 64], "has SHA-256"),
        (["--url", "ftp://x/y"], "only http and https addresses"),
        ([], "cannot be read as a zip file"),
    ],
)
def test_what_is_not_the_data_set_leaves_nothing_that_looks_like_it(
    library: Library, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    library.content = b"<html>not a zip</html>"
    done = run(tmp_path / "f", "--url", library.url, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("verger: error: ")
    assert complaint in done.stderr
    assert not (tmp_path / "f").exists()


def test_a_folder_that_holds_something_is_left_alone(library: Library, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "mine.jpg").write_bytes(b"mine")
    done = run(tmp_path / "f", "--url", library.url)
    assert (done.returncode, files_in(tmp_path / "f")) == (1, {"mine.jpg": b"mine"})
    assert not library.asked


def archive_of(tmp_path: Path, files: Mapping[str, bytes]) -> Path:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(files))
    return path


@pytest.mark.parametrize("name", ["../Training/Kiwi/1.jpg", "/etc/Training/Kiwi/1.jpg", "Training/..\\..\\Kiwi/1.jpg"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match="leads out of its folder"):
        unpack(archive_of(tmp_path, FRUITS | {name: b"x"}), tmp_path / "out", PARTS.values())
    assert not (tmp_path / "out").exists()


def test_names_are_read_as_the_sync_reads_them(tmp_path: Path) -> None:
    """A no-break space is a character like others; backslashes and code pages are those of Windows."""
    archive = write_entries(
        tmp_path / "a.zip",
        Entry("f/Test/Kiwi\u00a0gold/1\u202f.jpg".encode(), flags=0x800),
        Entry("f\\Test\\Pâtisson\\2.jpg".encode("cp850"), system=0),
    )
    unpack(archive, tmp_path / "out", PARTS.values())
    assert set(files_in(tmp_path / "out")) == {"f/Test/Kiwi\u00a0gold/1\u202f.jpg", "f/Test/Pâtisson/2.jpg"}


@given(st.text(max_size=40), st.sampled_from(["Training", "Test"]), st.text(max_size=20))
def test_no_name_gets_anywhere_but_below_its_part(above: str, part: str, rest: str) -> None:
    with contextlib.suppress(ArchiveError):
        place = place_of(f"{above}/{part}/{rest}/1.jpg")
        if place is not None:
            assert not place.is_absolute()
            assert ".." not in place.parts
            assert (len(place.parts), place.parts[-1]) == (4, "1.jpg")


def test_a_damaged_file_fails_the_whole(tmp_path: Path) -> None:
    content = bytearray(zipped(FRUITS))
    at = content.index(b"apple 0")
    content[at] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "out", PARTS.values())


def test_two_files_for_one_place_links_and_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = {"a/f/Test/Kiwi/1.jpg": b"x", "b/f/Test/kiwi/1.JPG": b"y"}
    with pytest.raises(ArchiveError, match="twice"):
        unpack(archive_of(tmp_path, twice), tmp_path / "out", PARTS.values())
    link = zipfile.ZipInfo("f/Test/Kiwi/1.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveError, match="where pictures are <part>/<label>/<picture>: it holds no part of"):
        unpack(tmp_path / "l.zip", tmp_path / "out", PARTS.values())
    monkeypatch.setattr("verger.sync.zip_file.MAX_FILE_BYTES", 3)
    with pytest.raises(ArchiveError, match="larger than 3 bytes"):
        unpack(archive_of(tmp_path, FRUITS), tmp_path / "out", PARTS.values())


def test_notes_are_those_at_the_top_a_few_and_part_of_what_it_unpacks_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = {f"fruits/fruits-360/papers/{number}/README.md": b"deep" for number in range(20)}
    beside = {"fruits/fruits-360/Training/Kiwi/LICENSE": b"beside a picture", "elsewhere/README.md": b"elsewhere"}
    archive = archive_of(tmp_path, deep | beside | FRUITS | {"readme.md": b"top"})
    assert unpack(archive, tmp_path / "out", PARTS.values()).notes == {
        "readme.md": "top",
        "fruits/fruits-360/LICENSE": "MIT License\n\nCopyright",
    }
    many = {f"{number}/README.md": b"x" for number in range(20)}
    pictures = {f"{number}/Test/Kiwi/1.jpg": b"x" for number in range(20)}
    archive = archive_of(tmp_path, many | pictures)
    assert len(unpack(archive, tmp_path / "many", PARTS.values()).notes) == MOST_NOTES
    monkeypatch.setattr("tools.fetching.unpacking.LARGEST_TOTAL", 20 + MOST_NOTES - 1)
    with pytest.raises(ArchiveError, match="too much"):
        unpack(archive, tmp_path / "sum", PARTS.values())


def deflated(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", method) as archive:
        archive.writestr(name, content)
    return bytearray(stored.getvalue())


def test_compressed_data_that_makes_no_sense_is_a_damaged_archive(tmp_path: Path) -> None:
    name = "f/Test/Kiwi/1.jpg"
    content = deflated(name, CONTENT)
    content[30 + len(name)] |= 0b110  # a kind of block that deflate does not have
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "out", PARTS.values())


def test_a_name_that_is_no_text_is_a_damaged_archive(tmp_path: Path) -> None:
    content = zipped({"f/Test/Kiwi/é.jpg": b"x"}).replace("é".encode(), b"\xff\xff")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ArchiveError, match="cannot be read as a zip file"):
        unpack(tmp_path / "a.zip", tmp_path / "out", PARTS.values())


def test_a_file_that_is_larger_than_it_says_is_not_decompressed_in_memory(tmp_path: Path) -> None:
    content = deflated("f/Test/Kiwi/1.jpg", bytes(50_000_000))
    (tmp_path / "a.zip").write_bytes(content.replace((50_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="damaged"):
            unpack(tmp_path / "a.zip", tmp_path / "out", PARTS.values())
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_python_reads_without_a_limit_is_refused(tmp_path: Path, method: int) -> None:
    (tmp_path / "a.zip").write_bytes(deflated("f/Test/Kiwi/1.jpg", CONTENT, method))
    with pytest.raises(ArchiveError, match="only stored and deflated"):
        unpack(tmp_path / "a.zip", tmp_path / "out", PARTS.values())


def test_what_the_archive_says_cannot_speak_to_the_terminal(library: Library, tmp_path: Path) -> None:
    evil = "MIT\tLicense \x1b]0;owned\x07\x9b2J\u202e\rgone é\nsecond"
    library.content = zipped(FRUITS | {"readme.md": evil.encode()})
    done = run(tmp_path / "f", "--url", library.url)
    assert done.returncode == 0, done.stderr
    assert "\\x1b]0;owned\\x07\\x9b2J\\u202e" in done.stdout
    assert "gone é\n  second" in done.stdout
    assert all(character.isprintable() or character == "\n" for character in done.stdout)
    library.content = zipped({"\x1b[2Jtop": b""})
    done = run(tmp_path / "g", "--url", library.url)
    assert "\\x1b[2Jtop" in done.stderr
    assert "\x1b" not in done.stderr

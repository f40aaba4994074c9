"""Pictures of a zip, which may be hostile."""

import io
import stat
import struct
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.storage.layout import BucketLayout
from verger.sync import zip_file
from verger.sync.archive import ZipSource
from verger.sync.pictures import LEADS_ELSEWHERE, SourceError
from verger.sync.stored import list_objects
from verger.sync.synchronize import synchronize
from verger.sync.zip_file import check_no_bomb


def write_zip(file: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return file


def sort_out(file: Path) -> tuple[list[str], dict[str, str]]:
    with closing(ZipSource(file, "images/")) as source:
        pictures, left_out = source.pictures()
    return [picture.key for picture in pictures], {entry.name: entry.reason for entry in left_out}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_only_what_changed_is_copied_from_a_zip(s3: S3Client, bucket: str, tmp_path: Path, method: int) -> None:
    layout = BucketLayout(bucket)
    entries = {"Pêche 1/a b.jpg": b"one", "Apple/2.png": b"two", "Apple/": b"", "readme.md": b"x"}

    def sync(name: str) -> dict[str, int]:
        source = ZipSource(write_zip(tmp_path / name, entries, method), "images/")
        done = synchronize(s3, layout, source, delete_missing=False)
        source.close()
        return done.counts()

    assert sync("first.zip") == {"copied": 2, "unchanged": 0, "deleted": 0, "left_out": 1}
    entries["Apple/2.png"] = b"TWO"
    assert sync("second.zip") == {"copied": 1, "unchanged": 1, "deleted": 0, "left_out": 1}
    assert s3.get_object(Bucket=bucket, Key="images/Apple/2.png")["Body"].read() == b"TWO"
    assert set(list_objects(s3, layout.address("images/"))) == {"images/Pêche 1/a b.jpg", "images/Apple/2.png"}


def test_path_tricks_links_and_foreign_files_are_left_out_and_named(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    file = write_zip(tmp_path / "a.zip", {"../../evil.jpg": b"x", "/root.jpg": b"x", "__MACOSX/._1.jpg": b"x"})
    with zipfile.ZipFile(file, "a") as made:
        made.writestr(link, "/etc/passwd")
        made.writestr("good/1.jpg", b"x")
    keys, left_out = sort_out(file)
    assert keys == ["images/good/1.jpg"]
    assert left_out == {
        "../../evil.jpg": LEADS_ELSEWHERE,
        "/root.jpg": LEADS_ELSEWHERE,
        "__MACOSX/": "in a hidden folder, or one of a system",
        "link.jpg": "a link",
    }


def test_an_encrypted_and_a_huge_picture_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_file, "MAX_FILE_BYTES", 100)
    file = write_zip(tmp_path / "a.zip", {"1.jpg": b"x", "huge.jpg": b"x" * 101, "secret.jpg": b"y"})
    content = bytearray(file.read_bytes())
    # The flag stands in the central directory, 8 bytes into the entry.
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(content)
    keys, left_out = sort_out(file)
    assert keys == ["images/1.jpg"]
    assert left_out == {"huge.jpg": "larger than 100 bytes", "secret.jpg": "encrypted"}


def test_an_archive_that_unpacks_to_far_more_than_it_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_zip(tmp_path / "bomb.zip", {f"{n}.jpg": bytes(1_000_000) for n in range(3)})
    assert len(sort_out(file)[0]) == 3  # it is small
    monkeypatch.setattr(zip_file, "HARMLESS_BYTES", 1000)
    with pytest.raises(SourceError, match="unpack to 3,000,000, as no pictures do"):
        ZipSource(file, "images/")


def overlapping(file: Path) -> Path:
    """Two entries of the central directory that point to one entry's data."""
    write_zip(file, {"1.jpg": b"x" * 100}, zipfile.ZIP_STORED)
    content = file.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    central, tail = content[start:end], bytearray(content[end:])
    struct.pack_into("<HHII", tail, 8, 2, 2, 2 * len(central), start)
    file.write_bytes(content[:start] + central + central.replace(b"1.jpg", b"2.jpg") + tail)
    return file


def test_entries_that_share_their_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="share their data"):
        ZipSource(overlapping(tmp_path / "a.zip"), "images/")


def test_an_entry_that_lies_about_its_size_gives_no_more_than_it_said(tmp_path: Path) -> None:
    file = write_zip(tmp_path / "a.zip", {"1.jpg": bytes(5000)})
    content = bytearray(file.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, 10)
    file.write_bytes(content)
    source = ZipSource(file, "images/")
    (picture,), _ = source.pictures()
    assert picture.size == 10
    with pytest.raises(SourceError, match=r"'1\.jpg' in it is damaged"):
        source.content(picture)
    source.close()


def test_a_damaged_picture_is_one_clear_error(tmp_path: Path) -> None:
    file = write_zip(tmp_path / "a.zip", {"1.jpg": b"a picture" * 50}, zipfile.ZIP_STORED)
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)
    source = ZipSource(file, "images/")
    (picture,), _ = source.pictures()
    with pytest.raises(SourceError, match="damaged"):
        source.content(picture)
    source.close()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut off"])
def test_what_is_no_zip_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read as a zip file"):
        ZipSource(file, "images/")


def test_a_zip_without_a_picture_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no picture in it"):
        sort_out(write_zip(tmp_path / "a.zip", {"a.txt": b"x"}))


def test_of_two_entries_of_one_name_the_last_counts(tmp_path: Path) -> None:
    file = write_zip(tmp_path / "a.zip", {"1.jpg": b"first"})
    with zipfile.ZipFile(file, "a") as made, pytest.warns(UserWarning, match="Duplicate name"):
        made.writestr("1.jpg", b"the second")
    source = ZipSource(file, "images/")
    assert [picture.size for picture in source.pictures()[0]] == [len(b"the second")]
    source.close()


@given(st.dictionaries(st.text(min_size=1, max_size=12), st.binary(max_size=40), min_size=1, max_size=6))
def test_an_ordinary_archive_is_never_taken_for_a_bomb(entries: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in entries.items():
            made.writestr(zipfile.ZipInfo(name.encode("utf-8", "replace").decode()), content)
    with zipfile.ZipFile(buffer) as made:
        check_no_bomb(made.infolist(), len(buffer.getvalue()), made.start_dir)

"""Copying pictures to the bucket."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.storage.layout import BucketLayout
from verger.sync.folder import MAX_KEY_BYTES, SourceError, find_pictures, is_usable_key, list_present, sync_folder

NAMES = ["Apple Braeburn/0 100.jpg", "Pêche/é.PNG", "a+b/c%20#d=e.jpeg", "loose.webp"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in NAMES:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path


def test_a_second_sync_copies_nothing_and_a_changed_picture_alone_is_copied_again(
    s3: S3Client, bucket: str, source: Path
) -> None:
    layout = BucketLayout(bucket)
    assert len(sync_folder(s3, layout, source, delete_missing=False).upload) == len(NAMES)
    assert set(list_present(s3, layout)) == {f"images/{name}" for name in NAMES}
    again = sync_folder(s3, layout, source, delete_missing=False)
    assert (again.upload, again.unchanged) == ((), len(NAMES))
    (source / "loose.webp").write_bytes(b"LOOSE.webp")  # the same size
    changed = sync_folder(s3, layout, source, delete_missing=False)
    assert [picture.key for picture in changed.upload] == ["images/loose.webp"]
    assert s3.get_object(Bucket=bucket, Key="images/loose.webp")["Body"].read() == b"LOOSE.webp"


def test_pictures_are_deleted_only_when_told_to(s3: S3Client, bucket: str, source: Path) -> None:
    layout = BucketLayout(bucket)
    s3.put_object(Bucket=bucket, Key="images/old.jpg", Body=b"x")
    s3.put_object(Bucket=bucket, Key="results/old.jpg", Body=b"x")
    sync_folder(s3, layout, source, delete_missing=False)
    assert "images/old.jpg" in list_present(s3, layout)
    assert sync_folder(s3, layout, source, delete_missing=True).delete == ("images/old.jpg",)
    assert "images/old.jpg" not in list_present(s3, layout)
    assert s3.head_object(Bucket=bucket, Key="results/old.jpg")["ContentLength"] == 1


def test_files_that_are_no_pictures_are_left_out_and_named(source: Path) -> None:
    (source / "notes.txt").write_text("x")
    (source / "Thumbs.db").write_text("x")
    (source / "line\nbreak.jpg").write_text("x")
    (source / "dangling.jpg").symlink_to(source / "nowhere.jpg")
    pictures, left_out = find_pictures(source, "images/")
    assert {picture.key for picture in pictures} == {f"images/{name}" for name in NAMES}
    assert sorted(left_out) == ["Thumbs.db", "dangling.jpg", "line\nbreak.jpg", "notes.txt"]


def test_a_name_that_is_no_utf8_is_left_out_and_can_be_printed(source: Path) -> None:
    (source / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    _, left_out = find_pictures(source, "images/")
    assert left_out == ["\\udcff.jpg"]


def test_links_to_folders_are_not_followed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("private")
    (elsewhere / "secret.jpg").write_bytes(b"x")
    (source / "link").symlink_to(elsewhere, target_is_directory=True)
    (source / "round").symlink_to(source, target_is_directory=True)
    pictures, _ = find_pictures(source, "images/")
    assert len(pictures) == len(NAMES)


def test_a_missing_and_an_empty_source_are_each_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        find_pictures(tmp_path / "nowhere", "images/")
    (tmp_path / "readme.md").write_text("x")
    with pytest.raises(SourceError, match="no picture in it"):
        find_pictures(tmp_path, "images/")


@given(st.text())
def test_a_usable_key_is_utf8_printable_and_short_enough(key: str) -> None:
    if is_usable_key(key):
        assert len(key.encode()) <= MAX_KEY_BYTES
        assert key.isprintable()

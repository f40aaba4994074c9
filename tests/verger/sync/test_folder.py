"""Pictures of a folder."""

import os
from pathlib import Path

import pytest
from verger.sync.folder import FolderSource
from verger.sync.pictures import SourceError

NAMES = ["Apple Braeburn/0 100.jpg", "Pêche/é.PNG", "a+b/c%20#d=e.jpeg", "loose.webp"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in NAMES:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path


def found(folder: Path) -> tuple[set[str], dict[str, str]]:
    pictures, left_out = FolderSource(folder, "images/").pictures()
    return {picture.key for picture in pictures}, {entry.name: entry.reason for entry in left_out}


def test_files_that_are_no_pictures_are_left_out_and_named(source: Path) -> None:
    (source / "notes.txt").write_text("x")
    (source / "Thumbs.db").write_text("x")
    (source / "._loose.webp").write_text("what macOS leaves on foreign disks")
    (source / "line\nbreak.jpg").write_text("x")
    (source / "dangling.jpg").symlink_to(source / "nowhere.jpg")
    keys, left_out = found(source)
    assert keys == {f"images/{name}" for name in NAMES}
    assert sorted(left_out) == ["._loose.webp", "Thumbs.db", "dangling.jpg", "line\nbreak.jpg", "notes.txt"]
    assert left_out["notes.txt"] == "no picture by its name"


def test_a_name_that_is_no_utf8_is_left_out_and_can_be_printed(source: Path) -> None:
    (source / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    assert found(source)[1] == {"\\udcff.jpg": "its name cannot be a key of S3"}


def test_links_to_folders_are_not_followed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("private")
    (elsewhere / "secret.jpg").write_bytes(b"x")
    (source / "link").symlink_to(elsewhere, target_is_directory=True)
    (source / "round").symlink_to(source, target_is_directory=True)
    assert len(found(source)[0]) == len(NAMES)


def test_a_missing_and_an_empty_source_are_each_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such folder"):
        found(tmp_path / "nowhere")
    (tmp_path / "readme.md").write_text("x")
    with pytest.raises(SourceError, match="no picture in it"):
        found(tmp_path)

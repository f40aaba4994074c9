"""Pictures of a folder."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client
from verger.storage.layout import BucketLayout
from verger.storage.left_out import LeftOut
from verger.sync import inside
from verger.sync.folder import FolderSource
from verger.sync.pictures import SourceError, SourcePicture, UnreadableError
from verger.sync.synchronize import synchronize

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
    assert sorted(left_out) == ["._loose.webp", "Thumbs.db", "dangling.jpg", "line\\x0abreak.jpg", "notes.txt"]
    assert left_out["notes.txt"] == "no picture by its name"


def test_a_name_that_is_no_utf8_is_left_out_and_can_be_printed(source: Path) -> None:
    (source / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    assert found(source)[1] == {"\\udcff.jpg": "its name is not UTF-8"}


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


# --- links, and what is neither a file nor a folder -------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture by its name, outside of the folder."""
    file = tmp_path_factory.mktemp("private") / "secret.jpg"
    file.write_bytes(b"secret")
    return file


def test_a_link_that_leaves_the_folder_is_left_out_and_named(source: Path, secret: Path) -> None:
    (source / "there.jpg").symlink_to(secret)
    (source / "a+b" / "up.jpg").symlink_to(os.path.relpath(secret, source / "a+b"))
    (source / "chain.jpg").symlink_to(source / "there.jpg")
    (source / "environment.jpg").symlink_to("/proc/self/environ")
    (source / "folder").symlink_to(secret.parent, target_is_directory=True)
    (source / "through.jpg").symlink_to(source / "folder" / "secret.jpg")
    (source / "round.jpg").symlink_to("round.jpg")
    (source / "dangling.jpg").symlink_to("nowhere.jpg")
    keys, left_out = found(source)
    assert keys == {f"images/{name}" for name in NAMES}
    leaves = "a link that leaves the folder"
    nowhere = "a link that leads nowhere"
    assert left_out == {
        "there.jpg": leaves, "a+b/up.jpg": leaves, "chain.jpg": leaves, "environment.jpg": leaves, "folder": leaves,
        "through.jpg": leaves, "round.jpg": nowhere, "dangling.jpg": nowhere,
    }  # fmt: skip


def test_a_link_that_stays_in_the_folder_is_the_file_that_it_leads_to(source: Path) -> None:
    (source / "link.jpg").symlink_to("a+b/c%20#d=e.jpeg")
    (source / "more").symlink_to("a+b", target_is_directory=True)
    keys, left_out = found(source)
    assert keys == {f"images/{name}" for name in [*NAMES, "link.jpg"]}
    assert left_out == {"more": "a link to a folder, which is not followed"}
    with FolderSource(source, "images/").open("link.jpg") as file:
        assert file.read() == b"a+b/c%20#d=e.jpeg"


def test_the_folder_itself_may_be_reached_by_a_link(source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "pictures"
    link.symlink_to(source)
    assert found(link) == found(source)


def test_fifos_and_sockets_are_left_out_and_hard_links_are_files(source: Path) -> None:
    os.mkfifo(source / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "s.jpg"))
    os.link(source / "loose.webp", source / "hard.webp")
    (source / "to-fifo.jpg").symlink_to("fifo.jpg")
    keys, left_out = found(source)
    assert keys == {f"images/{name}" for name in [*NAMES, "hard.webp"]}
    assert left_out == dict.fromkeys(["fifo.jpg", "s.jpg", "to-fifo.jpg"], "neither a file nor a folder")


def swap_file(source: Path, secret: Path) -> None:
    (source / "a+b" / "c%20#d=e.jpeg").unlink()
    (source / "a+b" / "c%20#d=e.jpeg").symlink_to(secret)


def swap_folder(source: Path, secret: Path) -> None:
    (source / "a+b").rename(source / "was")
    (source / "a+b").symlink_to(secret.parent, target_is_directory=True)
    secret.rename(secret.with_name("c%20#d=e.jpeg"))


def swap_fifo(source: Path, _: Path) -> None:
    (source / "a+b" / "c%20#d=e.jpeg").unlink()
    os.mkfifo(source / "a+b" / "c%20#d=e.jpeg")


def swap_directory(source: Path, _: Path) -> None:
    (source / "a+b" / "c%20#d=e.jpeg").unlink()
    (source / "a+b" / "c%20#d=e.jpeg").mkdir()


def remove(source: Path, _: Path) -> None:
    (source / "a+b" / "c%20#d=e.jpeg").unlink()


@pytest.mark.parametrize("swap", [swap_file, swap_folder, swap_fifo, swap_directory, remove])
def test_what_is_swapped_after_it_was_listed_is_left_out_and_nothing_outside_is_opened(
    swap: Callable[[Path, Path], None], source: Path, secret: Path, s3: S3Client, bucket: str
) -> None:
    class Swapping(FolderSource):
        def pictures(self) -> tuple[list[SourcePicture], list[LeftOut]]:
            listed = super().pictures()
            swap(source, secret)
            return listed

    layout = BucketLayout(bucket)
    s3.put_object(Bucket=bucket, Key="images/a+b/c%20#d=e.jpeg", Body=b"of an earlier sync")
    done = synchronize(s3, layout, Swapping(source, "images/"), delete_missing=True)
    assert [entry.name for entry in done.left_out] == ["a+b/c%20#d=e.jpeg"]
    assert (done.counts()["copied"], done.delete) == (len(NAMES) - 1, ())
    stored = s3.get_object(Bucket=bucket, Key="images/a+b/c%20#d=e.jpeg")["Body"].read()
    assert stored == b"of an earlier sync"


def test_a_link_in_the_way_that_is_swapped_while_it_is_resolved_opens_nothing_outside(
    source: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment that says where a link leads and the one that opens it."""
    (source / "link.jpg").symlink_to("a+b/c%20#d=e.jpeg")
    resolve = inside.target_inside

    def resolve_and_swap(root: Path, name: str) -> str:
        target = resolve(root, name)
        swap_folder(source, secret)
        return target

    monkeypatch.setattr(inside, "target_inside", resolve_and_swap)
    with (
        pytest.raises(UnreadableError, match="a link since it was listed"),
        FolderSource(source, "images/").open("link.jpg"),
    ):
        pass


def test_a_folder_that_cannot_be_read_is_left_out_with_all_that_is_in_it(
    source: Path, s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_it = os.open

    def refuse(path: str, flags: int, **more: int) -> int:
        if path in {"a+b", "loose.webp"}:
            raise PermissionError(errno.EACCES, "no", path)
        return open_it(path, flags, **more)

    for name in (*NAMES, "gone/1.jpg"):
        s3.put_object(Bucket=bucket, Key=f"images/{name}", Body=b"x" * len(name.encode()))
    monkeypatch.setattr(os, "open", refuse)
    done = synchronize(s3, BucketLayout(bucket), FolderSource(source, "images/"), delete_missing=True)
    reason = "it cannot be read (Permission denied)"
    assert {entry.name: entry.reason for entry in done.left_out} == {"a+b": reason, "loose.webp": reason}
    assert done.delete == ("images/gone/1.jpg",)


def test_a_tree_too_deep_for_keys_is_left_out_and_named(source: Path) -> None:
    place = source
    for _ in range(6):
        place = place / ("d" * 200)
        place.mkdir()
    (place / "1.jpg").write_bytes(b"x")
    keys, left_out = found(source)
    assert len(keys) == len(NAMES)
    assert list(left_out.values()) == ["its key would have more than the 1,024 bytes that S3 takes"]

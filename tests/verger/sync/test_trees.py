"""A tree as people have it, through folder, zip and bucket: each file is a picture of the run or is left out, once."""

import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from verger.plan.listing import Listing
from verger.storage.layout import BucketLayout
from verger.storage.left_out import LeftOut, count_files
from verger.sync.archive import ZipSource
from verger.sync.folder import FolderSource
from verger.sync.other_bucket import BucketSource
from verger.sync.pictures import Source, reason_to_leave_out
from verger.sync.synchronize import synchronize
from verger_rules.addresses import S3Address

from tests.verger.plan.planned import ListedImage, listed, listed_quickly

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Pictures, and the labels that they get.
PICTURES = {
    "IMG_0001.JPG": "",
    "iPhone/DCIM/100APPLE/IMG_0001.HEIC": "100APPLE",
    "Camera/DCIM/100CANON/IMG_2.JPG": "100CANON",
    "Mac/Screenshot 2024-05-01 at 10.00.00\u202fAM.png": "Mac",
    "Mac/Pa\u0302tisson/pe\u0302che.jpg": "P\u00e2tisson",
    "Windows/P\u00e2tisson/p\u00eache.jpg": "P\u00e2tisson",
    "Windows/P\u00e2tisson/pe\u0302che.jpg": "P\u00e2tisson",
    "Phone/WhatsApp Images/👩\u200d🌾.jpeg": "WhatsApp Images",
    "Phone/\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645/1.jpg": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Share/a\u00a0b\u3000c\u00ad/1.webp": "a\u00a0b\u3000c\u00ad",
    "NAS/#1 @home $5 100%+/a b=c&d.tiff": "#1 @home $5 100%+",
}
#: What is left out, in as many files as each stands for.
LEFT_OUT = {
    ".DS_Store": 1,
    "._IMG_0001.JPG": 1,
    ".Trash-1000/": 2,
    ".Trash-1000/files/1.jpg": 0,
    ".Trash-1000/info/1.jpg.trashinfo": 0,
    "__MACOSX/": 1,
    "__MACOSX/Mac/._1.jpg": 0,
    "Mac/.Spotlight-V100/": 1,
    "Mac/.Spotlight-V100/x/1.png": 0,
    "Phone/.thumbnails/": 2,
    "Phone/.thumbnails/1.jpg": 0,
    "Phone/.thumbnails/deep/er/2.jpg": 0,
    "Phone/WhatsApp Images/.trashed-1718000000-IMG.jpg": 1,
    "Phone/WhatsApp Images/.nomedia": 1,
    "Windows/Thumbs.db": 1,
    "Windows/desktop.ini": 1,
    "$RECYCLE.BIN/": 1,
    "$RECYCLE.BIN/S-1-5-21/$RABC.jpg": 0,
    "System Volume Information/": 1,
    "System Volume Information/tracking.log": 0,
    "NAS/@eaDir/": 2,
    "NAS/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg": 0,
    "NAS/@eaDir/1.jpg@SynoEAStream": 0,
    "NAS/#recycle/": 1,
    "NAS/#recycle/1.jpg": 0,
    "NAS/.@__thumb/": 1,
    "NAS/.@__thumb/s100 1.jpg": 0,
    "lost+found/": 1,
    "lost+found/#42.jpg": 0,
    "Notebooks/.ipynb_checkpoints/": 1,
    "Notebooks/.ipynb_checkpoints/1-checkpoint.jpg": 0,
    ".git/": 2,
    ".git/objects/ab/1.png": 0,
    ".git/HEAD": 0,
    ".picasaoriginals/": 1,
    ".picasaoriginals/1.jpg": 0,
}
#: What a sync leaves out and the bucket itself may have: featurize looks into it, and writes a row.
NO_PICTURES = ("notes.txt", "Camera/DCIM/100CANON/MVI_3.MOV", "Windows/report.docx")
FILES = [*PICTURES, *(name for name, files in LEFT_OUT.items() if not name.endswith("/")), *NO_PICTURES]
OF_SYSTEMS = {name: files for name, files in LEFT_OUT.items() if files}


def write_folder(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode("utf-8", "surrogateescape"))
    return folder


def write_zip(file: Path, names: Iterable[str]) -> Path:
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(zipfile.ZipInfo(name), name.encode())
    return file


def put_all(s3: "S3Client", bucket: str, prefix: str, names: Iterable[str]) -> None:
    for name in names:
        s3.put_object(Bucket=bucket, Key=prefix + name, Body=name.encode())


@contextmanager
def source_of(kind: str, folder: Path, s3: "S3Client", bucket: str) -> Iterator[Source]:
    if kind == "folder":
        yield FolderSource(write_folder(folder / "tree", FILES), "images/")
    elif kind == "zip":
        with closing(ZipSource(write_zip(folder / "tree.zip", FILES), "images/")) as source:
            yield source
    else:
        put_all(s3, bucket, ".in/", FILES)
        yield BucketSource(s3, S3Address(bucket, ".in/"), BucketLayout(bucket))


def listed_of(names: Iterable[str]) -> tuple[Listing, list[ListedImage]]:
    return listed(cast("S3Client", Listed({f"images/{name}": 1 for name in names})), BucketLayout("b"))


def by_name(left_out: Iterable[LeftOut]) -> dict[str, int]:
    return {entry.name: entry.files for entry in left_out}


@pytest.mark.parametrize("kind", ["folder", "zip", "bucket"])
def test_each_file_of_a_tree_is_listed_or_left_out_whatever_it_came_in(
    kind: str, s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    layout = BucketLayout(bucket)
    with source_of(kind, tmp_path, s3, bucket) as source:
        done = synchronize(s3, layout, source)
    assert by_name(done.left_out) == {**OF_SYSTEMS, **dict.fromkeys(NO_PICTURES, 1)}
    assert len(done.copy) + done.counts()["left_out"] == len(FILES)
    listing, found = listed_quickly(layout)
    labels = {image.path.removeprefix(f"s3://{bucket}/images/"): image.label for image in found}
    assert (labels, listing.left_out) == (PICTURES, [])


def test_each_file_that_was_put_straight_into_the_bucket_is_listed_or_left_out(s3: "S3Client", bucket: str) -> None:
    # What lies above the pictures does not count, hidden or not.
    layout = BucketLayout(bucket, ".hidden/@eaDir/")
    put_all(s3, bucket, layout.images_prefix, [*FILES, "Apple/"])
    s3.put_object(Bucket=bucket, Key=f"{layout.images_prefix}Pear/", Body=b"")
    listing, found = listed(s3, layout)
    names = {image.path.removeprefix(f"s3://{bucket}/{layout.images_prefix}") for image in found}
    # "Apple/" has bytes: nobody's empty folder.
    assert names == {*PICTURES, *NO_PICTURES, "Apple/"}
    assert by_name(listing.left_out) == OF_SYSTEMS
    assert len(names) + count_files(listing.left_out) == len(FILES) + 1


@pytest.mark.parametrize("kind", ["folder", "zip", "bucket"])
def test_what_systems_keep_in_a_source_is_not_deleted_in_the_bucket_and_what_they_do_not_is(
    kind: str, s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    """An earlier version copied such files: while the source has them they stay, and no run takes them."""
    layout = BucketLayout(bucket)
    earlier = [name for name in LEFT_OUT if not name.endswith("/")]
    put_all(s3, bucket, "images/", [*earlier, ".cache/1.jpg"])
    with source_of(kind, tmp_path, s3, bucket) as source:
        done = synchronize(s3, layout, source, delete_missing=True)
    assert done.delete == ("images/.cache/1.jpg",)
    assert by_name(listed(s3, layout)[0].left_out) == OF_SYSTEMS


# --- any names -------------------------------------------------------------------------------------------------------

# A backslash is another thing in a zip than on a disk: there it stands between folders (test_zip_names.py).
ANY = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
PART = st.one_of(
    st.sampled_from([
        "Apple", "1.jpg", "P\u00e2tisson", "Pa\u0302tisson", "a\u202fb.PNG", ".git", "@eaDir", "__MACOSX",
        "Thumbs.db", "._1.jpg",
        "C:", "n\n.jpg", "e\x1b[2J.gif", "\u202egpj.jpg", "x.txt", "👩\u200d🌾.webp", "$RECYCLE.BIN",
    ]),
    ANY,
    ANY.map("{}.jpg".format),
).filter(lambda part: part not in {".", ".."} and len(part.encode()) < 256)  # fmt: skip
NAMES = st.lists(PART, min_size=1, max_size=4).map("/".join)


def no_file_is_a_folder(names: set[str]) -> set[str]:
    folders = {name[:at] for name in names for at, character in enumerate(name) if character == "/"}
    return names - folders


class Listed:
    """An S3 that has these objects and can do nothing but list them."""

    def __init__(self, objects: Mapping[str, int]) -> None:
        self.objects = objects

    def get_paginator(self, name: str) -> SimpleNamespace:
        assert name == "list_objects_v2"

        def paginate(Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803 -- boto3's words
            assert Bucket
            entries = [
                {"Key": key, "Size": size, "ETag": '"1"', "LastModified": datetime.now(UTC)}
                for key, size in self.objects.items()
                if key.startswith(Prefix)
            ]
            return [{"Contents": entries}]

        return SimpleNamespace(paginate=paginate)


def take(source: Source) -> tuple[set[str], list[LeftOut]]:
    pictures, left_out = source.pictures()
    return {picture.name for picture in pictures}, left_out


@settings(max_examples=60)
@given(st.sets(NAMES, max_size=8).map(no_file_is_a_folder))
@example({"n\n.jpg", ".git/a", ".git/b/c", "@eaDir/x.jpg"})
def test_any_name_is_taken_or_left_out_once_and_alike_in_folder_zip_and_bucket(names: set[str]) -> None:
    # A source without a picture is refused whole.
    names = {*names, "one/picture.jpg"} - {"one"}
    s3 = cast("S3Client", Listed({f"in/{name}": 1 for name in names}))
    with tempfile.TemporaryDirectory() as folder:
        tree, file = write_folder(Path(folder) / "tree", names), write_zip(Path(folder) / "a.zip", names)
        with closing(ZipSource(file, "images/")) as zipped:
            sources: list[Source] = [
                FolderSource(tree, "images/"),
                zipped,
                BucketSource(s3, S3Address("b", "in/"), BucketLayout("b")),
            ]
            found = [take(source) for source in sources]
    for taken, left_out in found:
        assert len(taken) + count_files(left_out) == len(names)
        assert taken == {name for name in names if reason_to_leave_out(name, f"images/{name}") is None}
        assert by_name(left_out) == by_name(found[0][1])
        assert all(len(f"{entry.name}x{entry.reason}".splitlines()) == 1 for entry in left_out)
    # What was copied is listed whole, and what is put into the bucket as it is, is listed or left out.
    copied, _ = listed_of(found[0][0])
    assert (copied.images, copied.left_out) == (len(found[0][0]), [])
    straight, images = listed_of(names)
    assert straight.images + count_files(straight.left_out) == len(names)
    assert {image.path.removeprefix("s3://b/images/") for image in images} >= found[0][0]

"""Listing the bucket: the quick way and the thorough way find the same, and the names decide what is listed."""

from collections.abc import Iterator
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.plan import listing as listing_module
from verger.plan.listing import OBJECTS, images_of, objects_at_once
from verger.storage.aws_clients import bucket_store
from verger.storage.layout import BucketLayout, label_of
from verger.storage.left_out import LeftOutFiles, count_files, system_reason
from verger_rules.addresses import is_readable_key

from tests.verger.plan.planned import listed, listed_quickly

LAYOUT = BucketLayout("fruits")
#: Keys of which obstore has no path, each the only such one of its bucket.
UNLISTABLE = ["a//1.jpg", "a/./1.jpg", "a/../1.jpg", "/1.jpg"]
PARTS = st.sampled_from(
    [
        *(
            "Apple",
            "P\u00eache",
            "Pe\u0302che",
            "",
            ".",
            "..",
            ".git",
            "__MACOSX",
            "THUMBS.DB",
            "found.001",
            "FOUND.01",
        ),
        *("K", "\u212a", "x_$folder$", "desKtop.ini", "des\u212atop.ini", "\u212aiwi", "a\nb", "@eaDir"),
        *("\u0130con\r", "Icon\r", "\x7f", "\u0130"),
    ]
)


def put(s3: S3Client, bucket: str, *names: str, body: bytes = b"x") -> None:
    for name in names:
        s3.put_object(Bucket=bucket, Key=f"images/{name}", Body=body)


@given(st.lists(st.tuples(st.lists(PARTS, min_size=1, max_size=4).map("/".join), st.sampled_from([0, 7])), max_size=8))
@example([("a/b\nc/d.jpg", 7), ("\n/x", 7)])
def test_arrow_tells_names_apart_as_the_rules_for_one_name_do(objects: list[tuple[str, int]]) -> None:
    """What is listed, its label and whether it can be read, against the functions that look at one name."""
    keys = [f"images/{name}" for name, _ in objects]
    table = pa.table([keys, ['"e"'] * len(keys), [size for _, size in objects]], OBJECTS)
    left_out = LeftOutFiles()
    found = images_of(table, LAYOUT, left_out)
    no_folder = [(name, size) for name, size in objects if not (f"images/{name}".endswith("/") and not size)]
    expected = [
        (f"s3://fruits/{key}", "e", label_of(key, "images/"), size, is_readable_key(key))
        for name, size in no_folder
        for key in [f"images/{name}"]
        if system_reason(name) is None
    ]
    assert list(zip(*(column.to_pylist() for column in found.columns), strict=True)) == expected
    assert len(expected) + count_files(left_out.entries()) == len(no_folder)


def test_both_ways_find_the_same_in_a_bucket_of_labels_folders_and_files_of_systems(s3: S3Client, bucket: str) -> None:
    put(s3, bucket, "Apple/1.jpg", "Apple/deep/er/2.jpg", "Pêche/%20+ é.jpg", "alone.jpg", "Apple/.DS_Store", " x /y ")
    put(s3, bucket, "Apple/", "Empty folder/", "Apple/empty.jpg", "flat", "a/none/", body=b"")
    found, images = listed_quickly(BucketLayout(bucket))
    assert found.why_slow == ""
    assert (found, images) == listed(s3, BucketLayout(bucket))


def test_labels_of_all_kinds_of_characters_are_listed_the_quick_way(s3: S3Client, bucket: str) -> None:
    """Each label is a prefix that obstore is asked for: none may be written in another way on that path."""
    labels = [
        *"%+#?*~\\<>\"'{}[]|^`&=:;,@!$",
        "a b",
        " a",
        "a ",
        "%20",
        "a%2Fb",
        "\u00e9",
        "\U0001f34f",
        "\u3000a",
        "a\u00a0",
    ]
    put(s3, bucket, *(f"{label}/1.jpg" for label in labels))
    found, images = listed_quickly(BucketLayout(bucket))
    assert found.why_slow == ""
    assert sorted(image.label for image in images) == sorted(labels)
    assert (found, images) == listed(s3, BucketLayout(bucket))


@pytest.mark.parametrize("key", UNLISTABLE)
def test_a_key_that_obstore_has_no_path_for_is_listed_all_the_same(s3: S3Client, bucket: str, key: str) -> None:
    put(s3, bucket, "Apple/1.jpg", key)
    store = bucket_store(None, "eu-west-1", bucket)
    with pytest.raises(listing_module.UnlistableKeyError):
        list(objects_at_once(store, s3, BucketLayout(bucket)))
    found, images = listed_quickly(BucketLayout(bucket))
    assert "invalid path" in found.why_slow
    assert len(found.why_slow.splitlines()) == 1
    assert (found, images) == listed(s3, BucketLayout(bucket))
    assert f"s3://{bucket}/images/{key}" in {image.path for image in images}


def test_a_key_and_the_same_with_a_slash_are_two_images(s3: S3Client, bucket: str) -> None:
    """Obstore names both alike."""
    put(s3, bucket, "Apple/1.jpg", "Apple/1.jpg/")
    assert listed_quickly(BucketLayout(bucket)) == listed(s3, BucketLayout(bucket))
    assert listed(s3, BucketLayout(bucket))[0].images == 2


@pytest.mark.parametrize(("name", "most"), [("MOST_PREFIXES", 2), ("MOST_EMPTY", 1)])
def test_many_labels_and_many_empty_objects_are_listed_as_well(
    s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(listing_module, name, most)
    put(s3, bucket, *(f"label {number}/1.jpg" for number in range(5)))
    put(s3, bucket, *(f"label {number}/" for number in range(5)), body=b"")
    assert listed_quickly(BucketLayout(bucket)) == listed(s3, BucketLayout(bucket))


def test_who_stops_to_read_a_listing_stops_its_threads(
    s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, bucket, "alone.jpg")
    ended = []

    def endless(*_: Any, **__: Any) -> Iterator[pa.RecordBatch]:
        try:
            while True:
                yield pa.record_batch({"path": ["images/a"], "e_tag": ["e"], "size": [1]})
        finally:
            ended.append(True)

    monkeypatch.setattr("obstore.list", endless)
    monkeypatch.setattr(listing_module, "_top", lambda *_: (None, ["images/a", "images/b"]))
    objects = objects_at_once(bucket_store(None, "eu-west-1", bucket), s3, BucketLayout(bucket))
    assert next(iter(objects)).num_rows == 1
    cast("Any", objects).close()
    assert ended == [True, True]

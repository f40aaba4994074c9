"""A plan from an S3 Inventory: what a listing of that moment would have found, and whatever is known to be newer."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client
from verger.plan import listing as listing_module
from verger.plan.inventory import InventoryError, newest_inventory, objects_of
from verger.plan.listing import newer_objects
from verger.plan.plan_space import PlanLimits, plan_space
from verger.plan.planning import list_inventory
from verger.storage.aws_clients import arrow_filesystem, bucket_store
from verger.storage.layout import BucketLayout
from verger_rules.addresses import S3Address

from tests.verger.plan.inventories import FOLDER, take_inventory
from tests.verger.plan.planned import ListedImage, images_in, listed

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
KEYS = ["images/Apple/1.jpg", "images/Apple/2.jpg", "images/Apple/.DS_Store", "images/Kiwi/deep/1.jpg", "images/a.jpg"]


def put(s3: S3Client, bucket: str, *keys: str, body: bytes = b"x") -> None:
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=body)


def find(s3: S3Client, bucket: str, of_bucket: str = "", hours: int = 48) -> Any:
    folder = S3Address(bucket, FOLDER.format(bucket=bucket))
    return newest_inventory(s3, folder, of_bucket or bucket, NOW, timedelta(hours=hours))


def plan_list(s3: S3Client, bucket: str) -> tuple[Any, list[ListedImage]]:
    layout, filesystem = BucketLayout(bucket), arrow_filesystem(None, "eu-west-1")
    store = bucket_store(None, "eu-west-1", bucket)
    inventory = partial(objects_of, filesystem, find(s3, bucket), layout.images_prefix)
    with plan_space(PlanLimits(memory_mib=256)) as space:
        found = list_inventory(inventory, partial(newer_objects, store, s3, layout), layout, space)
        return found, images_in(space)


@pytest.mark.parametrize("file_format", ["Parquet", "ORC"])
def test_a_bucket_at_rest_is_listed_by_its_inventory_as_by_a_listing(
    s3: S3Client, bucket: str, file_format: str
) -> None:
    put(s3, bucket, *KEYS, "other/x.jpg", "images/P\u00eache +%20/\U0001f34f.jpg")
    put(s3, bucket, "images/Empty folder/", "images/Apple/", body=b"")
    take_inventory(s3, bucket, NOW, file_format=file_format)
    assert plan_list(s3, bucket) == listed(s3, BucketLayout(bucket))


def test_new_labels_and_later_keys_and_what_has_no_label_are_seen_although_they_are_newer(
    s3: S3Client, bucket: str
) -> None:
    put(s3, bucket, *KEYS)
    take_inventory(s3, bucket, NOW)
    put(s3, bucket, "images/Apple/3.jpg", "images/Pear/1.jpg", "images/b.jpg", "images/Apple/2.jpg.DS_Store")
    put(s3, bucket, "images/a.jpg", body=b"another one")
    s3.delete_object(Bucket=bucket, Key="images/Apple/1.jpg")
    put(s3, bucket, "images/Apple/0.jpg")
    found, images = plan_list(s3, bucket)
    now = {image.path: image for image in listed(s3, BucketLayout(bucket))[1]}
    there = {image.path: image for image in images}
    behind = {f"s3://{bucket}/images/Apple/{name}.jpg" for name in "01"}
    assert there.keys() ^ now.keys() == behind, "deleted, and stored before the last key: seen with the next inventory"
    assert {path: image for path, image in there.items() if path not in behind} == {
        path: image for path, image in now.items() if path not in behind
    }
    assert found.images == len(images)
    assert sum(entry.files for entry in found.left_out) == 1


def test_with_more_labels_than_can_be_asked_for_the_inventory_is_the_list(
    s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_module, "MOST_PREFIXES", 1)
    put(s3, bucket, *KEYS)
    take_inventory(s3, bucket, NOW)
    put(s3, bucket, "images/Pear/1.jpg")
    found, images = plan_list(s3, bucket)
    assert found.why_slow == "there are more than 1 labels"
    assert len(images) == 4


def test_an_inventory_of_all_versions_tells_what_is_there_now(s3: S3Client, bucket: str) -> None:
    put(s3, bucket, *KEYS)
    columns = ("bucket", "key", "size", "e_tag", "is_latest", "is_delete_marker")
    old = {"bucket": bucket, "key": "images/Apple/1.jpg", "size": 9, "e_tag": "old"}
    gone = {"bucket": bucket, "key": "images/Apple/gone.jpg", "size": None, "e_tag": None}
    extra = [
        {**old, "is_latest": False, "is_delete_marker": False},
        {**gone, "is_latest": True, "is_delete_marker": True},
    ]
    take_inventory(s3, bucket, NOW, columns=columns, extra=extra)
    assert plan_list(s3, bucket) == listed(s3, BucketLayout(bucket))


def test_the_newest_whole_inventory_counts(s3: S3Client, bucket: str) -> None:
    put(s3, bucket, *KEYS)
    take_inventory(s3, bucket, NOW - timedelta(hours=30))
    whole = take_inventory(s3, bucket, NOW - timedelta(hours=6))
    newest = take_inventory(s3, bucket, NOW - timedelta(hours=1))
    s3.delete_object(Bucket=bucket, Key=f"{newest}/manifest.checksum")
    found = find(s3, bucket)
    assert (found.manifest.key, found.made_at) == (f"{whole}/manifest.json", NOW - timedelta(hours=6))


def test_an_old_inventory_is_refused_with_its_age(s3: S3Client, bucket: str) -> None:
    take_inventory(s3, bucket, NOW - timedelta(hours=50))
    with pytest.raises(InventoryError, match=r"is 50 hours old, and 48 are allowed \(VERGER_INVENTORY_HOURS\)"):
        find(s3, bucket)
    assert find(s3, bucket, hours=51)


def test_an_inventory_of_another_bucket_is_refused(s3: S3Client, bucket: str) -> None:
    take_inventory(s3, bucket, NOW)
    with pytest.raises(InventoryError, match=r"is of the bucket .* and this run is on 'orchard'"):
        find(s3, bucket, "orchard")


def test_a_folder_without_one_says_what_the_address_must_be(s3: S3Client, bucket: str) -> None:
    put(s3, bucket, f"{FOLDER.format(bucket=bucket)}/hive/dt=2026-11-28-01-00/symlink.txt")
    with pytest.raises(InventoryError, match="holds no whole inventory: VERGER_INVENTORY_URI is s3://DESTINATION"):
        find(s3, bucket)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"file_format": "CSV"}, "is 'CSV': configure it as Parquet or ORC"),
        ({"files": "none"}, "is no manifest of an S3 Inventory"),
        ({"creationTimestamp": "yesterday"}, "is no manifest of an S3 Inventory"),
        ({"creationTimestamp": str(10**30)}, "is no manifest of an S3 Inventory"),
    ],
)
def test_a_manifest_that_tells_something_else_is_refused(
    s3: S3Client, bucket: str, told: dict[str, Any], words: str
) -> None:
    take_inventory(s3, bucket, NOW, **told)
    with pytest.raises(InventoryError, match=words):
        find(s3, bucket)


def test_a_manifest_that_is_not_what_its_checksum_says_is_refused(s3: S3Client, bucket: str) -> None:
    place = take_inventory(s3, bucket, NOW)
    put(s3, bucket, f"{place}/manifest.json", body=b"{}")
    with pytest.raises(InventoryError, match="is broken: it is not what its checksum says"):
        find(s3, bucket)


@pytest.mark.parametrize("content", [None, b"PAR1 and then nothing"])
def test_a_file_that_is_missing_or_broken_is_one_clear_error(s3: S3Client, bucket: str, content: bytes | None) -> None:
    put(s3, bucket, *KEYS)
    take_inventory(s3, bucket, NOW)
    file = find(s3, bucket).files[1]
    s3.delete_object(Bucket=file.bucket, Key=file.key)
    if content:
        put(s3, bucket, file.key, body=content)
    with pytest.raises(InventoryError, match=f"{file.uri}.*is missing or broken"):
        plan_list(s3, bucket)


def test_a_field_that_was_not_configured_is_named_as_aws_names_it(s3: S3Client, bucket: str) -> None:
    put(s3, bucket, *KEYS)
    take_inventory(s3, bucket, NOW, columns=("bucket", "key"))
    with pytest.raises(InventoryError, match="does not tell Size and ETag: add that to the inventory's fields"):
        plan_list(s3, bucket)

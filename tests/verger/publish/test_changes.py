"""What changed since the run before is told in numbers, and by name as far as a page can show it."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.publish.changes import (
    MOST_EXAMPLES,
    RunBefore,
    add_cost,
    compare_images,
    describe_changes,
    find_run_before,
    read_changed_images,
)
from verger.storage.aws_clients import arrow_filesystem
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.schemas import MANIFEST

BEFORE = RunLayout(BucketLayout("fruits"), "manual__1")
NOW = {
    "published_at": "2026-11-22T12:00:00+00:00",
    "settings": {"k": 12, "source": ""},
    "counts": {"featurized": 9, "rejected": 1},
    "pca": {"k": 12, "variance_reached": 0.91},
    "featurize": {"images_per_second": 20.5},
    "model": {"fingerprint": "b" * 16, "weights": "imagenet"},
}


def manifest(images: dict[str, str]) -> pa.Table:
    return pa.table({"path": list(images), "etag": list(images.values())}, schema=_SCHEMA)


_SCHEMA = pa.schema([("path", pa.string()), ("etag", pa.string())])
images_by_path = st.dictionaries(st.text(max_size=3), st.sampled_from(["1", "2", "3"]), max_size=12)


@settings(deadline=None)  # the first join loads Arrow's engine
@given(before=images_by_path, now=images_by_path)
def test_every_image_is_added_changed_gone_or_the_same(before: dict[str, str], now: dict[str, str]) -> None:
    got = compare_images(manifest(before), manifest(now))
    added, gone = sorted(now.keys() - before.keys()), sorted(before.keys() - now.keys())
    changed = sorted(path for path in before.keys() & now.keys() if before[path] != now[path])
    assert (got["before"], got["now"]) == (len(before), len(now))
    assert (got["added"], got["changed"], got["gone"]) == (len(added), len(changed), len(gone))
    assert {kind: set(paths) for kind, paths in got["examples"].items()} == {
        "added": set(added),
        "changed": set(changed),
        "gone": set(gone),
    }


def test_only_the_first_of_many_are_named() -> None:
    names = [f"s3://fruits/images/Apple/{number:03}.jpg" for number in range(100)]
    got = compare_images(manifest({}), manifest(dict.fromkeys(reversed(names), "1")))
    assert got["added"] == 100
    assert got["examples"]["added"] == names[:MOST_EXAMPLES]


def test_values_stand_side_by_side_and_settings_only_where_they_differ() -> None:
    before = {
        **NOW,
        "settings": {"k": 10, "source": ""},
        "pca": {"k": 10, "variance_reached": 0.9},
        "cost": {"usd": 0.5, "usd_per_1000_images": 2.0},
    }
    got = describe_changes(RunBefore(BEFORE, before), NOW, {"added": 1})
    assert got["since"] == {"run_id": "manual__1", "slug": BEFORE.slug, "published_at": NOW["published_at"]}
    assert got["settings"] == {"k": {"before": 10, "now": 12}}
    assert got["values"]["k"] == {"before": 10, "now": 12}
    assert got["values"]["model"] == {"before": "b" * 16, "now": "b" * 16}
    assert got["values"]["usd"] == {"before": 0.5, "now": None}
    assert got["images"] == {"added": 1}


def test_the_cost_comes_when_the_cluster_has_ended() -> None:
    before = {**NOW, "cost": {"usd": 0.5, "usd_per_1000_images": None}}
    described = {**NOW, "changes": describe_changes(RunBefore(BEFORE, before), NOW, None)}
    got = add_cost(described, {"usd": 0.75, "usd_per_1000_images": 3.0})
    assert got["cost"]["usd"] == 0.75
    assert got["changes"]["values"]["usd"] == {"before": 0.5, "now": 0.75}
    assert got["changes"]["values"]["k"] == {"before": 12, "now": 12}
    assert add_cost({**NOW, "changes": None}, {"usd": 1.0})["changes"] is None


def test_a_run_before_whose_files_were_deleted_is_still_named() -> None:
    got = describe_changes(RunBefore(BEFORE, {}), NOW, None)
    assert got["since"]["run_id"] == "manual__1"
    assert got["images"] is None
    assert got["values"]["k"] == {"before": None, "now": 12}
    assert got["settings"] == {}
    json.dumps(got)


def run_of(bucket: str, number: int) -> RunLayout:
    return RunLayout(BucketLayout(bucket), f"manual__{number}")


@pytest.mark.parametrize(
    ("own", "latest", "expected"),
    [
        (None, None, None),
        (None, "manual__1", "manual__1"),
        # published again: the pointer has moved to this run, or even past it
        ({"changes": {"since": {"run_id": "manual__1"}}}, "manual__2", "manual__1"),
        ({"changes": {"since": {"run_id": "manual__1"}}}, "manual__3", "manual__1"),
        ({"changes": None}, "manual__2", None),
        # published by a Verger that did not tell changes
        ({}, "manual__1", "manual__1"),
        ({}, "manual__2", None),
    ],
)
def test_the_run_before_is_the_same_however_often_a_run_is_published(
    s3: S3Client, bucket: str, own: dict[str, Any] | None, latest: str | None, expected: str | None
) -> None:
    run = run_of(bucket, 2)
    if own is not None:
        write_json(s3, run.result_file("run.json"), own)
    if latest is not None:
        write_json(s3, run.layout.latest, {"run_id": latest})
    found = find_run_before(s3, run)
    assert (found and found.run.run_id) == expected


def test_manifests_are_compared_as_they_lie_in_the_bucket(s3: S3Client, bucket: str) -> None:
    before, run = run_of(bucket, 1), run_of(bucket, 2)
    filesystem = arrow_filesystem(None, "eu-west-1")
    paths = [f"s3://{bucket}/images/A pple/ü%{n}.jpg" for n in range(3)]
    rows = [(path, str(number), "A pple", 1) for number, path in enumerate(paths)]
    for each, listed in ((before, rows[:2]), (run, rows[1:])):
        stored = io.BytesIO()
        pq.write_table(pa.table([list(column) for column in zip(*listed, strict=True)], MANIFEST), stored)
        s3.put_object(Bucket=bucket, Key=each.run_file("manifest.parquet").key, Body=stored.getvalue())
    got = read_changed_images(filesystem, before, run)
    assert got
    assert got["examples"] == {"added": [paths[2]], "changed": [], "gone": [paths[0]]}
    s3.delete_object(Bucket=bucket, Key=before.run_file("manifest.parquet").key)
    assert read_changed_images(filesystem, before, run) is None

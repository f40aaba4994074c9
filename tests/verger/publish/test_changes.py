"""What changed since the run before is told in numbers, and by name as far as a page can show it."""

import json
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client
from verger.publish.changes import (
    RunBefore,
    add_cost,
    describe_changes,
    find_run_before,
)
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout, RunLayout

BEFORE = RunLayout(BucketLayout("fruits"), "manual__1")
NOW = {
    "published_at": "2026-11-22T12:00:00+00:00",
    "settings": {"k": 12, "source": ""},
    "counts": {"featurized": 9, "rejected": 1},
    "pca": {"k": 12, "variance_reached": 0.91},
    "featurize": {"images_per_second": 20.5},
    "model": {"fingerprint": "b" * 16, "weights": "imagenet"},
}


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

"""Readers are led to what was planned last, and to nothing older by accident."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.publish.latest_pointer import is_published, point_forward, pointer_to, pointer_warnings
from verger.storage import conditional_writes
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import BucketLayout, RunLayout

from tests.faulty_s3 import faulty_s3

FIRST = datetime(2026, 11, 21, 10, tzinfo=UTC)


def planned(hours: float) -> str:
    return (FIRST + timedelta(hours=hours)).isoformat()


def described(planned_at: str | None, published_at: str = "2026-11-30T00:00:00+00:00") -> dict[str, Any]:
    plan = {"inputs_digest": "d", "model_fingerprint": "f" * 16, **({"created_at": planned_at} if planned_at else {})}
    return {"plan": plan, "published_at": published_at, "warnings": []}


@pytest.fixture
def layout(bucket: str) -> BucketLayout:
    return BucketLayout(bucket)


def followed(s3: S3Client, layout: BucketLayout) -> str | None:
    return (read_json(s3, layout.latest) or {}).get("run_id")


def test_a_first_run_and_one_planned_later_move_the_pointer(s3: S3Client, layout: BucketLayout) -> None:
    old, new = RunLayout(layout, "old"), RunLayout(layout, "new")
    assert point_forward(s3, old, described(planned(0))) == []
    assert point_forward(s3, new, described(planned(1))) == []
    assert read_json(s3, layout.latest) == {
        "run_id": "new", "slug": new.slug, "results_uri": new.results_uri, "inputs_digest": "d",
        "model_fingerprint": "f" * 16, "planned_at": planned(1), "published_at": "2026-11-30T00:00:00+00:00",
    }  # fmt: skip
    assert is_published(s3, old)
    assert is_published(s3, new)


def test_a_run_planned_before_the_one_that_readers_follow_is_published_and_leaves_the_pointer(
    s3: S3Client, layout: BucketLayout
) -> None:
    old, new = RunLayout(layout, "scheduled__2026-11-21T00:00:00+00:00"), RunLayout(layout, "new")
    point_forward(s3, new, described(planned(1)))
    assert not is_published(s3, old)
    warnings = point_forward(s3, old, described(planned(0), published_at="2026-12-24T00:00:00+00:00"))
    assert followed(s3, layout) == "new"
    assert len(warnings) == 1
    command = f"tools/point_to_run.py --bucket {layout.bucket} {shlex.quote(old.run_id)}"
    for told in ("latest.json stays at the run new", "readers keep the newer results", old.results_uri, command):
        assert told in warnings[0]
    assert is_published(s3, old)
    assert pointer_warnings(s3, old) == warnings
    assert pointer_warnings(s3, new) == []


def test_of_two_planned_at_the_same_time_the_last_to_publish_is_followed(s3: S3Client, layout: BucketLayout) -> None:
    for run_id in ("one", "other", "one"):
        assert point_forward(s3, RunLayout(layout, run_id), described(planned(0))) == []
        assert followed(s3, layout) == run_id


def test_a_run_is_published_again_though_the_pointer_was_led_back(s3: S3Client, layout: BucketLayout) -> None:
    old, new = RunLayout(layout, "old"), RunLayout(layout, "new")
    point_forward(s3, new, described(planned(1)))
    write_json(s3, layout.latest, pointer_to(old, described(planned(0))))
    assert is_published(s3, new)
    assert point_forward(s3, new, described(planned(1))) == []
    assert followed(s3, layout) == "new"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.data())
def test_in_whatever_order_runs_publish_readers_end_at_the_one_planned_last(
    s3: S3Client, layout: BucketLayout, hours: list[int], data: st.DataObject
) -> None:
    s3.delete_object(Bucket=layout.bucket, Key=layout.latest.key)
    order = data.draw(st.permutations(list(enumerate(hours))))
    again = data.draw(st.lists(st.sampled_from(order), max_size=3))
    for number, hour in [*order, *again]:
        point_forward(s3, RunLayout(layout, f"run {number}"), described(planned(hour)))
    assert (read_json(s3, layout.latest) or {})["planned_at"] == planned(max(hours))


@pytest.mark.parametrize(
    ("there", "plan", "moves"),
    [
        ({"published_at": planned(9)}, {"created_at": planned(0)}, True),
        ({"published_at": planned(0)}, {"created_at": planned(2)}, False),
        ({"published_at": planned(2)}, None, False),
        ({"published_at": planned(0)}, None, True),
        ({"published_at": planned(2)}, {}, False),
        ({"planned_at": "2026-11-21T12:00:00Z"}, None, False),
        ({"planned_at": "2026-11-21T11:59:59+02:00"}, None, True),
        ({"planned_at": "2026-11-21T12:00:00"}, None, False),
        ({"planned_at": "some day"}, None, True),
        ({}, None, True),
    ],
    ids=[
        "its plan is older", "its plan is newer", "published later, no plan", "published before, no plan",
        "a plan without a time", "Z", "another zone", "no zone", "no time", "nothing is known",
    ],
)  # fmt: skip
def test_a_pointer_of_an_earlier_version_is_judged_by_its_run_s_plan_or_by_when_it_was_published(
    s3: S3Client, layout: BucketLayout, there: Mapping[str, Any], plan: Mapping[str, Any] | None, *, moves: bool
) -> None:
    """Ours was planned at 11:00 UTC."""
    write_json(s3, layout.latest, {"run_id": "before", **there})
    if plan is not None:
        write_json(s3, RunLayout(layout, "before").run_file("plan.json"), plan)
    assert bool(point_forward(s3, RunLayout(layout, "ours"), described(planned(1)))) != moves
    assert followed(s3, layout) == ("ours" if moves else "before")


def test_a_pointer_of_an_earlier_version_is_enough_to_know_what_is_published(
    s3: S3Client, layout: BucketLayout
) -> None:
    write_json(s3, layout.latest, {"run_id": "before"})
    assert is_published(s3, RunLayout(layout, "before"))
    assert not is_published(s3, RunLayout(layout, "another"))
    assert pointer_warnings(s3, RunLayout(layout, "before")) == []


@pytest.mark.parametrize(("theirs", "end"), [(2, "theirs"), (0, "ours")], ids=["newer", "older"])
@pytest.mark.parametrize("before", [None, "start"], ids=["the first two", "later ones"])
def test_of_two_that_publish_at_once_the_one_planned_last_is_followed(
    s3: S3Client, layout: BucketLayout, aws: str, theirs: int, end: str, before: str | None
) -> None:
    """The other moves the pointer between our look and our PUT, whose condition fails then."""
    if before:
        point_forward(s3, RunLayout(layout, before), described(planned(-1)))
    racing = boto3.client("s3", endpoint_url=aws, region_name="eu-west-1")
    done: list[bool] = []

    def other(**_: object) -> None:
        if not done:
            done.append(True)
            point_forward(s3, RunLayout(layout, "theirs"), described(planned(theirs)))

    racing.meta.events.register("before-call.s3.PutObject", other)
    assert bool(point_forward(racing, RunLayout(layout, "ours"), described(planned(1)))) == (end == "theirs")
    assert followed(s3, layout) == end


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
def test_a_pointer_whose_answer_is_lost_or_refused_has_moved(
    s3: S3Client, layout: BucketLayout, aws: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(conditional_writes, "PAUSES", (0.0, 0.0))
    point_forward(s3, RunLayout(layout, "old"), described(planned(0)))
    with faulty_s3(aws) as (address, faults):
        setattr(faults, fault, 1)
        client = boto3.client("s3", endpoint_url=address, region_name="eu-west-1")
        assert point_forward(client, RunLayout(layout, "new"), described(planned(1))) == []
    assert followed(s3, layout) == "new"

"""A person leads readers back on purpose, and the next run leads them forward again."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from verger.publish.latest_pointer import point_forward
from verger.publish.run_description import put_run_description
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import BucketLayout, RunLayout

from tests.faulty_s3 import faulty_s3
from tools import point_to_run

FIRST = datetime(2026, 11, 21, 10, tzinfo=UTC)
OLD, NEW = "scheduled__2026-11-21T00:00:00+00:00", "manual__2026-11-22"


def published(s3: S3Client, bucket: str, run_id: str, hours: int) -> RunLayout:
    """A run that has published, as publish_results leaves it."""
    run = RunLayout(BucketLayout(bucket), run_id)
    planned = (FIRST + timedelta(hours=hours)).isoformat()
    plan = {"created_at": planned, "inputs_digest": run_id, "model_fingerprint": "f" * 16}
    description = {
        "run_id": run_id, "slug": run.slug, "plan": plan, "published_at": planned, "warnings": [],
    }  # fmt: skip
    matrix = run.result_file("matrix.parquet")
    s3.put_object(Bucket=matrix.bucket, Key=matrix.key, Body=b"PAR1")
    put_run_description(s3, run, description)
    point_forward(s3, run, description)
    return run


@pytest.fixture
def runs(s3: S3Client, bucket: str) -> tuple[RunLayout, RunLayout]:
    """Two runs, of which readers follow the second."""
    return published(s3, bucket, OLD, 0), published(s3, bucket, NEW, 1)


def point(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, dict[str, Any], str]:
    """The program's exit code, its last line, and all that it wrote."""
    monkeypatch.setattr(sys, "argv", ["point_to_run.py", *words])
    code = point_to_run.main()
    written = capsys.readouterr()
    lines = written.out.splitlines()
    return code, json.loads(lines[-1]) if lines else {}, written.out + written.err


def test_readers_are_led_back_and_the_next_run_leads_them_forward_again(
    s3: S3Client,
    bucket: str,
    runs: tuple[RunLayout, RunLayout],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, new = runs
    layout = old.layout
    of_old, of_new = {"run_id": OLD, "planned_at": "2026-11-21T10:00:00+00:00"}, {"run_id": NEW}
    for named in (OLD, old.slug):
        code, told, written = point(capsys, monkeypatch, "--bucket", bucket, named)
        assert code == 0
        assert told["was"].items() >= (of_new if named == OLD else of_old).items()
        assert told["now"].items() >= {**of_old, "slug": old.slug, "inputs_digest": OLD}.items()
        assert f"points now to: the run {OLD}, planned at 2026-11-21T10:00:00+00:00" in written
        assert read_json(s3, layout.latest) == told["now"]
    published(s3, bucket, "manual__2026-11-23", 2)
    assert (read_json(s3, layout.latest) or {})["run_id"] == "manual__2026-11-23"
    assert read_json(s3, new.published)


def test_a_dry_run_moves_nothing(
    s3: S3Client,
    bucket: str,
    runs: tuple[RunLayout, RunLayout],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERGER_BUCKET", bucket)
    monkeypatch.setenv("VERGER_REGION", "eu-west-1")
    code, told, written = point(capsys, monkeypatch, "--dry-run", OLD)
    assert (code, told["dry_run"], told["was"]["run_id"], told["now"]["run_id"]) == (0, True, NEW, OLD)
    assert "it would point to" in written
    assert (read_json(s3, runs[0].layout.latest) or {})["run_id"] == NEW


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
def test_what_was_is_told_rightly_when_an_answer_is_lost(
    bucket: str,
    runs: tuple[RunLayout, RunLayout],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    aws: str,
    fault: str,
) -> None:
    client: Any = boto3.client
    with faulty_s3(aws) as (address, faults):
        setattr(faults, fault, 1)
        monkeypatch.setattr(boto3, "client", lambda *args, **more: client(*args, **more, endpoint_url=address))
        code, told, _ = point(capsys, monkeypatch, "--bucket", bucket, OLD)
    assert (code, told["was"]["run_id"], told["now"]["run_id"]) == (0, NEW, OLD)
    assert runs


def test_a_bucket_whose_pointer_was_deleted_gets_one(
    s3: S3Client,
    bucket: str,
    runs: tuple[RunLayout, RunLayout],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latest = runs[0].layout.latest
    s3.delete_object(Bucket=latest.bucket, Key=latest.key)
    code, told, written = point(capsys, monkeypatch, "--bucket", bucket, NEW)
    assert (code, told["was"]) == (0, None)
    assert "nothing, it is not there" in written
    assert (read_json(s3, latest) or {})["run_id"] == NEW


@pytest.mark.parametrize("missing", ["run.json", "matrix.parquet"])
def test_readers_are_not_led_to_results_that_are_not_whole(
    s3: S3Client,
    bucket: str,
    runs: tuple[RunLayout, RunLayout],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    gone = runs[0].result_file(missing)
    s3.delete_object(Bucket=gone.bucket, Key=gone.key)
    code, _, written = point(capsys, monkeypatch, "--bucket", bucket, OLD)
    assert (code, len(written.splitlines())) == (2, 1)
    assert missing in written
    assert (read_json(s3, runs[0].layout.latest) or {})["run_id"] == NEW


def test_a_run_that_lies_under_another_s_name_is_refused(
    s3: S3Client,
    bucket: str,
    runs: tuple[RunLayout, RunLayout],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copied = runs[0].layout.address("results/copied/run.json")
    write_json(s3, copied, read_json(s3, runs[0].result_file("run.json")) or {})
    code, _, written = point(capsys, monkeypatch, "--bucket", bucket, "copied")
    assert code == 2
    assert repr(OLD) in written


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [(["a"], 2, "which bucket?"), (["--bucket", "verger-no-such-bucket", "a"], 1, "NoSuchBucket")],
)
def test_bad_input_is_one_line(
    aws: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.delenv("VERGER_BUCKET", raising=False)
    ended, _, written = point(capsys, monkeypatch, *words)
    assert (ended, len(written.splitlines())) == (code, 1)
    assert message in written
    assert aws

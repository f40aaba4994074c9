"""What the feature table holds: exactly what was committed."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.plan.feature_table import (
    DECODER_VERSION,
    Commit,
    list_commits,
    parse_commit,
    read_done_images,
    visible_commits,
)
from verger.storage.aws_clients import arrow_filesystem
from verger.storage.layout import BucketLayout

FINGERPRINT = "0123456789abcdef"


def record(**changes: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "run_id": "r",
        "model_fingerprint": FINGERPRINT,
        "chunk": 0,
        "committed_at": "2026-11-21T12:00:00Z",
        "features": {"rows": 0, "files": []},
        "rejects": {"rows": 0, "files": []},
        "replaces": [],
        **changes,
    }


def put_rows(
    s3: S3Client, bucket: str, key: str, rows: list[tuple[str, str]], decoders: list[int | None] | None = None
) -> None:
    """A file of the table; without decoders it is one of before they were told."""
    sink = pa.BufferOutputStream()
    table = pa.table(
        {"path": [path for path, _ in rows], "etag": [etag for _, etag in rows], "other": [b"x" * 99] * len(rows)}
    )
    if decoders:
        table = table.append_column("decoder", pa.array(decoders, pa.int32()))
    pq.write_table(table, sink)
    s3.put_object(Bucket=bucket, Key=key, Body=sink.getvalue().to_pybytes())


def test_only_committed_rows_are_done(s3: S3Client, bucket: str) -> None:
    layout = BucketLayout(bucket)
    features, rejects = layout.features_prefix(FINGERPRINT), layout.rejects_prefix(FINGERPRINT)
    now = DECODER_VERSION
    two = [("s3://b/é #1.jpg", "1"), ("s3://b/2.jpg", "2")]
    put_rows(s3, bucket, f"{features}run=r/chunk=0/part-0.parquet", two, [now, now])
    put_rows(s3, bucket, f"{rejects}run=r/chunk=0/part-0.parquet", [("s3://b/3.jpg", "3")], [now])
    put_rows(s3, bucket, f"{features}run=r/chunk=1/part-0.parquet", [("s3://b/killed.jpg", "4")])
    committed = record(
        features={"rows": 2, "files": ["run=r/chunk=0/part-0.parquet"]},
        rejects={"rows": 1, "files": ["run=r/chunk=0/part-0.parquet"]},
    )
    s3.put_object(Bucket=bucket, Key=f"{layout.commits_prefix(FINGERPRINT)}r.00000.json", Body=json.dumps(committed))
    done = read_done_images(arrow_filesystem(None, "eu-west-1"), bucket, list_commits(s3, layout, FINGERPRINT))
    assert done.features == {("s3://b/é #1.jpg", "1"), ("s3://b/2.jpg", "2")}
    assert done.rejects == {("s3://b/3.jpg", "3")}
    assert done.answered(retry_rejects=True) == done.features
    assert done.otherwise == frozenset()


def test_rows_of_other_decoders_and_of_files_that_tell_none_answer_nothing(s3: S3Client, bucket: str) -> None:
    layout = BucketLayout(bucket)
    features, rejects = layout.features_prefix(FINGERPRINT), layout.rejects_prefix(FINGERPRINT)
    rows = [(f"s3://b/{number}.jpg", str(number)) for number in range(8)]
    now = DECODER_VERSION
    put_rows(s3, bucket, f"{features}old.parquet", rows[:2])
    put_rows(s3, bucket, f"{features}mixed.parquet", rows[2:6], [now, now - 1, now + 1, None])
    put_rows(s3, bucket, f"{rejects}old.parquet", rows[6:7])
    put_rows(s3, bucket, f"{rejects}new.parquet", rows[7:], [now])
    committed = record(
        features={"rows": 6, "files": ["old.parquet", "mixed.parquet"]},
        rejects={"rows": 2, "files": ["old.parquet", "new.parquet"]},
    )
    s3.put_object(Bucket=bucket, Key=f"{layout.commits_prefix(FINGERPRINT)}r.00000.json", Body=json.dumps(committed))
    done = read_done_images(arrow_filesystem(None, "eu-west-1"), bucket, list_commits(s3, layout, FINGERPRINT))
    assert done.features == {rows[2]}
    assert done.rejects == {rows[7]}
    assert done.otherwise == {*rows[:2], *rows[3:7]}
    assert done.answered(retry_rejects=False) == {rows[2], rows[7]}
    assert done.paths == {path for path, _ in rows}


def test_a_model_without_features_has_no_commits(s3: S3Client, bucket: str) -> None:
    assert list_commits(s3, BucketLayout(bucket), FINGERPRINT) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=3)), unique_by=lambda c: c[0]))
def test_a_replaced_commit_never_counts_and_every_other_one_does(commits: list[tuple[int, list[int]]]) -> None:
    found = [Commit(f"c{name}", (), (), tuple(f"c{other}" for other in replaces)) for name, replaces in commits]
    replaced = {f"c{other}" for _, replaces in commits for other in replaces}
    assert {commit.name for commit in visible_commits(found)} == {commit.name for commit in found} - replaced


@pytest.mark.parametrize("changes", [{"format": 2}, {"model_fingerprint": "another"}])
def test_a_record_of_another_format_or_model_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot read that feature table"):
        parse_commit("r.00000", record(**changes), BucketLayout("b"), FINGERPRINT)

"""Hundreds of small runs leave a table that is quick to read, and no reader ever sees it otherwise than whole."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from pyspark import SparkContext
from verger.plan.feature_table import list_commits, read_done_images
from verger.storage.aws_clients import arrow_filesystem
from verger.storage.layout import BucketLayout

from spark_jobs import compaction
from spark_jobs.commit_records import CommitRecord, TableFiles, read_commits, visible
from spark_jobs.committed_rows import KEY_SCHEMA, CommittedRows, answering_rows, read_columns, read_table_rows
from spark_jobs.decoder_version import DECODER_VERSION
from spark_jobs.layout import TableLayout, run_slug
from spark_jobs.object_store import StoreSettings
from spark_jobs.rewrite_plan import commit_time, is_due, replaced_names, small_records
from spark_jobs.row_precedence import winning_rows
from spark_jobs.s3_address import S3Address
from spark_jobs.spark_context import open_context
from spark_jobs.sweeping import sweep
from tests.stored_tables import FINGERPRINT, Row, keys_below, put_commit

REGION = "eu-west-1"


@pytest.fixture
def spark(spark_ready: None) -> Iterator[SparkContext]:  # noqa: ARG001 - the JVM's settings
    session = open_context("compaction")
    yield session
    session.stop()


@pytest.fixture
def settings(aws: str) -> StoreSettings:
    return StoreSettings(aws, REGION)


@pytest.fixture
def layout(bucket: str) -> TableLayout:
    return TableLayout(S3Address(bucket, "features"), S3Address(bucket, "rejects"), FINGERPRINT)


def manifest_of(images: list[tuple[str, str]]) -> pa.Table:
    images = sorted(images)
    return pa.table({"path": [path for path, _ in images], "etag": [etag for _, etag in images]})


def answers(settings: StoreSettings, layout: TableLayout, manifest: pa.Table) -> list[tuple[str, str, float | None]]:
    """What a reader takes for each image: path, etag, and the feature value or None for a reject."""
    committed = read_table_rows(settings, layout)
    found = []
    for index in answering_rows(manifest, committed, "a run of later"):
        file = committed.files[committed.file[index]]
        row = read_columns(settings, file.address, ["path", "etag"]).slice(committed.row[index], 1).to_pylist()[0]
        value = None
        if file.is_features:
            vectors = read_columns(settings, file.address, ["features"])["features"]
            value = vectors[int(committed.row[index])].as_py()[0]
        found.append((row["path"], row["etag"], value))
    return found


def put_history(s3: S3Client, bucket: str) -> pa.Table:
    """Runs with a retried reject, a reject after a feature, a picture computed twice, and hostile keys."""
    base = f"s3://{bucket}/images/Kaki+/été #1 100%=x"
    put_commit(s3, bucket, "run 0", [Row(f"{base}.jpg", value=None), Row("s3://b/twice.jpg", value=1.0)], at=0)
    put_commit(s3, bucket, "run 1", [Row(f"{base}.jpg", value=2.0), Row("s3://b/kept.jpg", value=3.0)], at=1)
    put_commit(s3, bucket, "run 2", [Row("s3://b/twice.jpg", value=4.0), Row("s3://b/kept.jpg", value=None)], at=2)
    put_commit(s3, bucket, "run 3", [Row("s3://b/kept.jpg", etag="2", value=5.0)], at=3)
    images = [(f"{base}.jpg", "1"), ("s3://b/twice.jpg", "1"), ("s3://b/kept.jpg", "1")]
    return manifest_of(images)


def compacted(spark: SparkContext, settings: StoreSettings, layout: TableLayout) -> CommitRecord | None:
    records = read_commits(settings, layout)
    return compaction.compact(spark, settings, layout, records, small_records(records, "a run of later"))


@pytest.mark.spark
def test_readers_get_the_same_answers_from_one_record(
    spark: SparkContext, s3: S3Client, bucket: str, settings: StoreSettings, layout: TableLayout
) -> None:
    manifest = put_history(s3, bucket)
    before = answers(settings, layout, manifest)
    record = compacted(spark, settings, layout)
    assert record is not None
    assert visible(read_commits(settings, layout)) == [record]
    assert answers(settings, layout, manifest) == before
    assert (record.features.rows, record.rejects.rows) == (4, 0), "rows that another one beats are not carried along"
    layout_of_airflow = BucketLayout(bucket)
    commits = list_commits(s3, layout_of_airflow, FINGERPRINT)
    done = read_done_images(arrow_filesystem(None, REGION), bucket, commits)
    rows = read_table_rows(settings, layout)
    assert done.features == {(row["path"], row["etag"]) for row in rows.keys.to_pylist()}, (
        "Airflow's side sees the same"
    )
    changed = manifest_of([("s3://b/kept.jpg", "2")])
    assert answers(settings, layout, changed) == [("s3://b/kept.jpg", "2", 5.0)]


@pytest.mark.spark
def test_a_row_that_a_later_record_beats_does_not_come_back(
    spark: SparkContext, s3: S3Client, bucket: str, settings: StoreSettings, layout: TableLayout
) -> None:
    """The rewrite is the latest commit; what it must not carry is a row that a record outside of it beats."""
    for run in range(2):
        put_commit(s3, bucket, f"old {run}", [Row(f"s3://b/{run}.jpg", value=1.0)], at=run)
    put_commit(s3, bucket, "this run", [Row("s3://b/0.jpg", value=2.0)], at=50)
    records = read_commits(settings, layout)
    compaction.compact(spark, settings, layout, records, small_records(records, "this run"))
    manifest = manifest_of([("s3://b/0.jpg", "1"), ("s3://b/1.jpg", "1")])
    assert [value for _, _, value in answers(settings, layout, manifest)] == [2.0, 1.0]


@pytest.mark.spark
def test_a_reader_that_listed_before_still_finds_every_file(
    spark: SparkContext, s3: S3Client, bucket: str, settings: StoreSettings, layout: TableLayout
) -> None:
    put_history(s3, bucket)
    listed = read_table_rows(settings, layout)
    compacted(spark, settings, layout)
    sweep(settings, layout, grace_hours=24)
    for file in listed.files:
        assert read_columns(settings, file.address, ["path"]).num_rows


@pytest.mark.spark
def test_after_the_time_of_grace_only_what_counts_is_left(
    spark: SparkContext, s3: S3Client, bucket: str, settings: StoreSettings, layout: TableLayout
) -> None:
    manifest = put_history(s3, bucket)
    leftover = f"features/model={FINGERPRINT}/run=killed/chunk=0/part-0.parquet"
    s3.put_object(Bucket=bucket, Key=leftover, Body=b"a killed step's file")
    before = answers(settings, layout, manifest)
    record = compacted(spark, settings, layout)
    assert record is not None
    sweep(settings, layout, grace_hours=24)
    assert leftover in keys_below(s3, bucket)
    sweep(settings, layout, grace_hours=0)
    sweep(settings, layout, grace_hours=0)
    files = {layout.features.child(name).key for name in record.features.files}
    assert keys_below(s3, bucket) == files | {layout.commit(run_slug(record.run_id), record.chunk).key}
    assert answers(settings, layout, manifest) == before


@pytest.mark.spark
def test_a_compaction_killed_before_its_record_is_as_if_it_had_not_been(
    spark: SparkContext,
    s3: S3Client,
    bucket: str,
    settings: StoreSettings,
    layout: TableLayout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = put_history(s3, bucket)
    before = answers(settings, layout, manifest)
    with monkeypatch.context() as patched:
        patched.setattr(compaction, "commit_once", _killed)
        with pytest.raises(KeyboardInterrupt):
            compacted(spark, settings, layout)
    assert answers(settings, layout, manifest) == before
    assert compacted(spark, settings, layout) is not None
    sweep(settings, layout, grace_hours=0)
    assert answers(settings, layout, manifest) == before


def _killed(*_: object) -> bool:
    raise KeyboardInterrupt


@pytest.mark.spark
def test_of_two_rewrites_that_began_with_the_same_records_one_counts(
    spark: SparkContext, s3: S3Client, bucket: str, settings: StoreSettings, layout: TableLayout
) -> None:
    manifest = put_history(s3, bucket)
    records = read_commits(settings, layout)
    chosen = small_records(records, "x")
    first = compaction.compact(spark, settings, layout, records, chosen)
    assert compaction.compact(spark, settings, layout, records, chosen) is None
    assert visible(read_commits(settings, layout)) == [first]
    assert len(answers(settings, layout, manifest)) == manifest.num_rows


@pytest.mark.spark
def test_a_record_replaced_twice_over_never_counts_again(
    spark: SparkContext, s3: S3Client, bucket: str, settings: StoreSettings, layout: TableLayout
) -> None:
    """The second compaction names the first one's replaced records too: the first may be deleted before them."""
    put_history(s3, bucket)
    first = compacted(spark, settings, layout)
    put_commit(s3, bucket, "run 9", [Row("s3://b/9.jpg")], at=59)
    second = compacted(spark, settings, layout)
    assert first is not None
    assert second is not None
    s3.delete_object(Bucket=bucket, Key=f"{layout.commits.key}/{first.name}.json")
    assert visible(read_commits(settings, layout)) == [second]


def test_a_table_that_cannot_be_compacted_is_told_and_fails_nothing(
    s3: S3Client, bucket: str, settings: StoreSettings, layout: TableLayout, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put_object(Bucket=bucket, Key=f"{layout.commits.key}/bad.00000.json", Body=b"{}")
    compaction.keep_small(settings, layout, compaction.Upkeep("run", 1, 24))
    assert "WARNING: the table was not compacted" in capsys.readouterr().out


def record_of(
    name: int, *, rows: int = 10, files: int = 1, at: str = "2026-11-21T12:00:00Z", **more: object
) -> CommitRecord:
    features = TableFiles(rows, tuple(f"{name}/{file}" for file in range(files)))
    replaces = tuple(str(earlier) for earlier in more.get("replaces", ()))  # type: ignore[attr-defined]  # a test's list
    return CommitRecord(f"run {name}", FINGERPRINT, 0, at, features, TableFiles(0, ()), replaces)


def test_compaction_is_due_by_records_or_by_files() -> None:
    assert not is_due([record_of(n) for n in range(5)], 5)
    assert is_due([record_of(n) for n in range(6)], 5)
    assert is_due([record_of(n, files=16) for n in range(2)], 5)
    assert not is_due([record_of(0, files=100)], 5), "one record alone cannot become fewer"


def test_large_records_and_this_runs_own_are_left_alone() -> None:
    records = [record_of(0), record_of(1, rows=20_000), record_of(2)]
    assert [record.run_id for record in small_records(records, "run 2")] == ["run 0"]


def test_a_rewrite_also_names_what_its_records_replaced_while_it_is_there() -> None:
    old = record_of(0)
    newer = record_of(1, replaces=[old.name, "gone.00000"])
    assert set(replaced_names([newer], [old, newer])) == {old.name, newer.name}


@given(st.integers(-10_000, 10_000))
def test_a_rewrite_is_later_than_every_record_whatever_the_clocks(seconds: int) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC) + timedelta(seconds=seconds)
    assert commit_time(now, [record_of(0)]) > "2026-11-21T12:00:00Z"
    assert commit_time(now, []) == now.strftime("%Y-%m-%dT%H:%M:%SZ")


OLDER = DECODER_VERSION - 1
DECODERS = [OLDER, DECODER_VERSION, DECODER_VERSION + 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.sampled_from(DECODERS)), max_size=30))
def test_this_decoders_row_wins_then_features_over_rejects_then_the_later_over_the_earlier(
    rows: list[tuple[int, int, bool, int]],
) -> None:
    keys = pa.table(
        {
            "path": pa.chunked_array([[f"p{row[0]}" for row in rows]], pa.string()),
            "etag": pa.chunked_array([[f"e{row[1]}" for row in rows]], pa.string()),
            "decoder": pa.chunked_array([[row[3] for row in rows]], pa.int32()),
        }
    )
    wins = winning_rows(keys, np.array([row[2] for row in rows], np.bool_))
    best: dict[tuple[int, int], tuple[bool, int, bool, int]] = {}
    for index, (path, etag, features, decoder) in enumerate(rows):
        rank = (decoder == DECODER_VERSION, decoder, features, index)
        best[path, etag] = max(rank, best.get((path, etag), rank))
    assert set(np.flatnonzero(wins)) == {rank[3] for rank in best.values()}


@pytest.mark.spark
def test_a_compaction_of_rows_of_several_decoders_keeps_who_made_them_and_brings_no_old_one_back(
    spark: SparkContext, s3: S3Client, bucket: str, settings: StoreSettings, layout: TableLayout
) -> None:
    """Tables of before have no column of the decoder; a picture that is a reject by now had features then."""
    old = [Row(f"s3://b/{name}.jpg", value=1.0, decoder=None) for name in ("again", "now a reject", "not yet")]
    put_commit(s3, bucket, "of before", [*old, Row("s3://b/a reject.jpg", value=None, decoder=None)], at=0)
    put_commit(
        s3, bucket, "mixed", [Row("s3://b/back.jpg", value=7.0), Row("s3://b/back.jpg", value=8.0, decoder=3)], at=1
    )
    put_commit(
        s3, bucket, "since", [Row("s3://b/again.jpg", value=2.0), Row("s3://b/now a reject.jpg", value=None)], at=2
    )
    names = ("again", "now a reject", "not yet", "a reject", "back")
    manifest = manifest_of([(f"s3://b/{name}.jpg", "1") for name in names])

    def decoders() -> dict[str, list[tuple[int, bool]]]:
        rows = read_table_rows(settings, layout)
        found: dict[str, list[tuple[int, bool]]] = {}
        for row, file in zip(rows.keys.to_pylist(), rows.file, strict=True):
            found.setdefault(row["path"][7:-4], []).append((row["decoder"], rows.files[int(file)].is_features))
        return found

    def answered() -> list[int]:
        return [int(index) for index in answering_rows(manifest, read_table_rows(settings, layout), "x") if index >= 0]

    assert len(answered()) == 3
    assert compacted(spark, settings, layout) is not None
    assert decoders() == {
        "again": [(DECODER_VERSION, True)], "now a reject": [(DECODER_VERSION, False)],
        "back": [(DECODER_VERSION, True)], "not yet": [(1, True)], "a reject": [(1, False)],
    }  # fmt: skip
    assert len(answered()) == 3
    commits = list_commits(s3, BucketLayout(bucket), FINGERPRINT)
    done = read_done_images(arrow_filesystem(None, REGION), bucket, commits)
    assert {path for path, _ in done.otherwise} == {"s3://b/not yet.jpg", "s3://b/a reject.jpg"}, "on both sides"


def test_no_rows_have_no_winner() -> None:
    empty = KEY_SCHEMA.empty_table()
    committed = CommittedRows((), empty, np.empty(0, np.int64), np.empty(0, np.int64))
    assert winning_rows(committed.keys, np.empty(0, np.bool_)).size == 0

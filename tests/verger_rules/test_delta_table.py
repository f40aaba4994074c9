"""The feature table as a real Delta table: a chunk counts once and whole, and upkeep changes no row."""

import pytest
from mypy_boto3_s3 import S3Client
from verger_rules.delta_table import (
    CHECKPOINT_VERSIONS,
    VACUUM_VERSIONS,
    commit_chunk,
    is_vacuum_due,
    live_files,
    merge_small_files,
    next_chunk,
    open_or_create,
    open_table,
    vacuum,
    version_of,
)
from verger_rules.layout import run_slug

from tests.stored_tables import Row, keys_below, place_of, put_chunk, put_files, visible_rows


def test_a_chunk_counts_once_for_whoever_commits_it_first(s3: S3Client, bucket: str) -> None:
    """Two tries of a step may both live for a while."""
    place = place_of(s3, bucket)
    ours, theirs = (put_files(s3, place, "r", 0, [Row(path), Row("reject", value=None)]) for path in ("a", "b"))
    assert next_chunk(open_table(place), "r") == 0
    assert commit_chunk(place, "r", 0, ours)
    assert not commit_chunk(place, "r", 0, theirs)
    assert commit_chunk(place, "r", 0, ours), "whoever asks again after a lost answer is told that it counts"
    assert visible_rows(s3, bucket)["path"].to_pylist() == ["a", "reject"]
    assert next_chunk(open_table(place), "r") == 1
    assert next_chunk(open_table(place), "another") == 0


def test_the_log_tells_outcome_rows_and_size_of_each_file_and_no_path_of_an_image(s3: S3Client, bucket: str) -> None:
    put_chunk(s3, bucket, "r", [Row("s3://b/somebody.jpg"), Row("s3://b/2.jpg"), Row("s3://b/3.jpg", value=None)])
    place = place_of(s3, bucket)
    files = live_files(open_table(place))
    assert [(file.outcome, file.rows) for file in files] == [("featurized", 2), ("rejected", 1)]
    for file in files:
        assert s3.head_object(Bucket=bucket, Key=place.folder.child(file.name).key)["ContentLength"] == file.size
    for key in keys_below(s3, bucket, place.folder.child("_delta_log/").key):
        assert b"somebody" not in s3.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_merged_files_have_the_same_rows_and_tell_how_many(s3: S3Client, bucket: str) -> None:
    for number in range(5):
        put_chunk(s3, bucket, "r", [Row(f"{number}"), Row(f"reject {number}", value=None)])
    before = visible_rows(s3, bucket)
    table = open_table(place_of(s3, bucket))
    assert table is not None
    assert merge_small_files(table) == 10
    files = live_files(open_table(place_of(s3, bucket)))
    assert [(file.outcome, file.rows) for file in files] == [("featurized", 5), ("rejected", 5)]
    assert visible_rows(s3, bucket).equals(before)
    assert next_chunk(open_table(place_of(s3, bucket)), run_slug("r")) == 5, "merging forgets no chunk"


def test_a_vacuum_takes_what_nobody_names_and_what_is_too_young_stays(s3: S3Client, bucket: str) -> None:
    put_chunk(s3, bucket, "r", [Row("a")])
    place = place_of(s3, bucket)
    put_files(s3, place, "killed", 0, [Row("b")])
    table = open_table(place)
    assert table is not None
    assert vacuum(table, grace_hours=24) == 0
    assert vacuum(table, grace_hours=0) == 1
    assert visible_rows(s3, bucket)["path"].to_pylist() == ["a"]
    assert not keys_below(s3, bucket, place.folder.child("outcome=featurized/killed/").key)


def test_a_table_with_a_checkpoint_is_read_as_before(s3: S3Client, bucket: str) -> None:
    for number in range(CHECKPOINT_VERSIONS + 2):
        put_chunk(s3, bucket, "r", [Row(f"{number:03}")])
    log = keys_below(s3, bucket, place_of(s3, bucket).folder.child("_delta_log/").key)
    assert any(key.endswith(".checkpoint.parquet") for key in log)
    table = open_table(place_of(s3, bucket))
    assert next_chunk(table, run_slug("r")) == CHECKPOINT_VERSIONS + 2
    assert sum(file.rows for file in live_files(table)) == CHECKPOINT_VERSIONS + 2


def test_a_table_is_made_once_and_one_that_is_not_there_is_none(s3: S3Client, bucket: str) -> None:
    place = place_of(s3, bucket)
    assert (open_table(place), live_files(None), version_of(None)) == (None, [], -1)
    assert version_of(open_or_create(place)) == version_of(open_or_create(place)) == 0


@pytest.mark.parametrize(
    ("before", "now", "due"),
    [(-1, 0, False), (0, VACUUM_VERSIONS - 1, False), (99, 100, True), (100, 150, False), (150, 350, True)],
)
def test_a_vacuum_is_due_once_in_so_many_versions(before: int, now: int, *, due: bool) -> None:
    assert is_vacuum_due(before, now) == due

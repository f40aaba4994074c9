"""What the plan counts as done: exactly the rows of the feature table that were committed, by what made them."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client
from verger.plan.feature_table import read_done
from verger.plan.plan_space import PlanLimits, plan_space
from verger.storage.aws_clients import arrow_filesystem, feature_table_place
from verger.storage.layout import BucketLayout
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import merge_small_files, open_table
from verger_rules.disk_database import DiskDatabaseError
from verger_rules.table_error import TableError

from tests.stored_tables import FINGERPRINT, Row, keys_below, place_of, put_chunk, put_files


@dataclass(frozen=True)
class Done:
    """The pairs of path and etag that rows have, by what made them."""

    features: set[tuple[str, str]]
    rejects: set[tuple[str, str]]
    otherwise: set[tuple[str, str]]


def done_of(bucket: str) -> Done:
    place = feature_table_place(None, "eu-west-1", BucketLayout(bucket).feature_table(FINGERPRINT))
    with plan_space(PlanLimits(memory_mib=256)) as space:
        read_done(arrow_filesystem(None, "eu-west-1"), place, space)
        rows = space.database.execute("SELECT path, etag, featurized, current FROM done").fetchall()
    assert len(rows) == len(set(rows))
    return Done(
        {(path, etag) for path, etag, featurized, current in rows if featurized and current},
        {(path, etag) for path, etag, featurized, current in rows if not featurized and current},
        {(path, etag) for path, etag, _, current in rows if not current},
    )


def test_a_model_without_a_table_has_nothing_done(s3: S3Client, bucket: str) -> None:
    assert done_of(bucket) == Done(set(), set(), set())
    assert keys_below(s3, bucket) == set(), "who reads makes no table"


def test_only_committed_rows_are_done(s3: S3Client, bucket: str) -> None:
    put_chunk(
        s3,
        bucket,
        "r",
        [Row("s3://b/é #1.jpg", "1"), Row("s3://b/2%20.jpg", "2"), Row("s3://b/3.jpg", "3", value=None)],
    )
    put_files(s3, place_of(s3, bucket), "killed", 0, [Row("s3://b/killed.jpg", "4")])
    done = done_of(bucket)
    assert done.features == {("s3://b/é #1.jpg", "1"), ("s3://b/2%20.jpg", "2")}
    assert done.rejects == {("s3://b/3.jpg", "3")}
    assert done.otherwise == set()


def test_rows_of_other_decoders_answer_nothing_and_are_known(s3: S3Client, bucket: str) -> None:
    rows = [
        Row(f"s3://b/{number}.jpg", str(number), value=value, decoder=DECODER_VERSION + off)
        for number, (value, off) in enumerate([(1.0, -1), (1.0, 0), (1.0, 1), (None, -1), (None, 0)])
    ]
    put_chunk(s3, bucket, "r", rows)
    done = done_of(bucket)
    pairs = [(row.path, row.etag) for row in rows]
    assert done.features == {pairs[1]}
    assert done.rejects == {pairs[4]}
    assert done.otherwise == {pairs[0], pairs[2], pairs[3]}


def test_a_picture_is_done_under_the_etag_that_it_was_read_under(s3: S3Client, bucket: str) -> None:
    """It was replaced after it was listed: the manifest's etag is of bytes that nobody computed."""
    put_chunk(s3, bucket, "r", [Row("s3://b/1.jpg", "listed", read_etag="read")])
    assert done_of(bucket).features == {("s3://b/1.jpg", "read")}


def test_rows_of_several_chunks_and_merged_files_are_all_done(s3: S3Client, bucket: str) -> None:
    for number in range(4):
        put_chunk(s3, bucket, "r", [Row(f"s3://b/{number}.jpg"), Row(f"s3://b/reject {number}.jpg", value=None)])
    before = done_of(bucket)
    assert len(before.features) == len(before.rejects) == 4
    table = open_table(place_of(s3, bucket))
    assert table is not None
    assert merge_small_files(table) == 8
    assert done_of(bucket) == before


def test_a_table_whose_log_cannot_be_read_is_one_clear_error(s3: S3Client, bucket: str) -> None:
    put_chunk(s3, bucket, "r", [Row("s3://b/1.jpg")])
    (log, *_) = sorted(key for key in keys_below(s3, bucket) if "/_delta_log/" in key and key.endswith(".json"))
    s3.put_object(Bucket=bucket, Key=log, Body=json.dumps({"protocol": "of tomorrow"}).encode())
    with pytest.raises(
        TableError, match=f"the feature table s3://{bucket}/features/model={FINGERPRINT} cannot be read"
    ):
        done_of(bucket)


def test_a_disk_without_room_for_so_many_images_is_told_when_they_are_counted(tmp_path: Path) -> None:
    with (
        pytest.raises(DiskDatabaseError, match=r"this run needs about .* VERGER_SPILL_FOLDER"),
        plan_space(PlanLimits(tmp_path)) as space,
    ):
        space.check_images(10**12)

"""The object store loses answers, answers 409, refuses to write for a while: nothing is lost, doubled or misnamed."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pyarrow as pa
import pytest
from mypy_boto3_s3 import S3Client
from verger_rules.addresses import S3Address

from spark_jobs.job_errors import StepFailedError, error_from_worker
from spark_jobs.object_store import StoreSettings, write_bytes, write_once
from spark_jobs.table_file import write_table_file
from tests.faulty_s3 import Faults, faulty_s3

OURS, THEIRS = b'{"by": "us"}', b'{"by": "another"}'
AT_ONCE = (0.0, 0.0, 0.0)


@pytest.fixture
def proxy(aws: str) -> Iterator[tuple[StoreSettings, Faults]]:
    with faulty_s3(aws) as (address, faults):
        yield StoreSettings(address, "eu-west-1"), faults


@pytest.fixture
def record(bucket: str) -> S3Address:
    return S3Address(bucket, "commits/rewrite.00001.json")


def lying(s3: S3Client, record: S3Address) -> bytes:
    return s3.get_object(Bucket=record.bucket, Key=record.key)["Body"].read()


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
@pytest.mark.parametrize("times", [1, 3])
def test_our_record_counts_once_whatever_became_of_the_answers(
    proxy: tuple[StoreSettings, Faults], record: S3Address, s3: S3Client, fault: str, times: int
) -> None:
    settings, faults = proxy
    setattr(faults, fault, times)
    assert write_once(settings, record, OURS, pauses=AT_ONCE)
    assert lying(s3, record) == OURS
    assert not write_once(settings, record, THEIRS, pauses=AT_ONCE)
    assert lying(s3, record) == OURS


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
def test_the_record_of_another_is_never_taken_for_ours(
    proxy: tuple[StoreSettings, Faults], record: S3Address, s3: S3Client, fault: str
) -> None:
    settings, faults = proxy
    s3.put_object(Bucket=record.bucket, Key=record.key, Body=THEIRS)
    setattr(faults, fault, 2)
    assert not write_once(settings, record, OURS, pauses=AT_ONCE)
    assert lying(s3, record) == THEIRS


def test_a_conflict_with_a_writer_who_wins_is_lost_and_with_one_who_deletes_is_won(
    proxy: tuple[StoreSettings, Faults], record: S3Address, s3: S3Client
) -> None:
    settings, faults = proxy
    faults.conflict = 1
    faults.before_conflict = lambda: s3.put_object(Bucket=record.bucket, Key=record.key, Body=THEIRS) and None
    assert not write_once(settings, record, OURS, pauses=AT_ONCE)
    faults.conflict = 1
    faults.before_conflict = lambda: s3.delete_object(Bucket=record.bucket, Key=record.key) and None
    assert write_once(settings, record, OURS, pauses=AT_ONCE)
    assert lying(s3, record) == OURS


def test_a_store_that_never_answers_is_one_clear_error_with_the_address(
    proxy: tuple[StoreSettings, Faults], record: S3Address
) -> None:
    settings, faults = proxy
    faults.conflict = 10_000
    with pytest.raises(StepFailedError, match=r"commits/rewrite\.00001\.json cannot be written") as failed:
        write_once(settings, record, OURS, pauses=(0.0,))
    assert "Debug source" not in str(failed.value)


@pytest.mark.parametrize("fault", ["store_and_drop", "drop"])
def test_a_plain_write_whose_answer_is_lost_is_made_again(
    proxy: tuple[StoreSettings, Faults], record: S3Address, s3: S3Client, fault: str
) -> None:
    settings, faults = proxy
    setattr(faults, fault, 2)
    write_bytes(settings, record, OURS)
    assert lying(s3, record) == OURS


def test_a_store_that_is_read_only_for_longer_than_ten_attempts_ends_no_write(
    proxy: tuple[StoreSettings, Faults], record: S3Address, s3: S3Client
) -> None:
    """Ten attempts were over within half a minute; the store was away for fifty seconds."""
    settings, faults = proxy
    faults.read_only.set()
    writing = threading.Thread(target=write_bytes, args=(settings, record, OURS))
    writing.start()
    while faults.refused < 13 and writing.is_alive():
        writing.join(0.1)
    faults.read_only.clear()
    writing.join()
    assert faults.refused >= 13
    assert lying(s3, record) == OURS


def test_a_table_file_that_cannot_be_stored_is_one_expected_error_that_names_address_and_cause(
    proxy: tuple[StoreSettings, Faults], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, faults = proxy
    monkeypatch.setattr("spark_jobs.object_store.PATIENCE", timedelta(seconds=0.2))
    faults.read_only.set()
    with pytest.raises(StepFailedError, match=r"features/part-0\.parquet cannot be written: .*503") as failed:
        write_table_file(settings, S3Address(bucket, "features/part-0.parquet"), pa.table({"path": ["a"]}))
    assert settings.endpoint
    assert settings.endpoint in str(failed.value)
    assert error_from_worker(f"x spark_jobs.job_errors.StepFailedError: {failed.value}") is not None

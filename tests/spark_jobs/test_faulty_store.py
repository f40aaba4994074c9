"""The object store loses answers, answers 409, refuses to write for a while: nothing is lost, doubled or misnamed."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyarrow as pa
import pytest
from mypy_boto3_s3 import S3Client
from verger_rules import delta_table
from verger_rules.addresses import S3Address
from verger_rules.delta_table import TablePlace, commit_chunk
from verger_rules.layout import run_slug
from verger_rules.table_error import TableError

from spark_jobs.job_errors import StepFailedError, error_from_worker
from spark_jobs.store.object_store import StoreSettings, write_bytes
from spark_jobs.store.table_file import write_table_file
from tests.faulty_s3 import Faults, faulty_s3
from tests.stored_tables import REGION, Row, place_of, put_chunk, put_files, visible_rows

OURS = b'{"by": "us"}'
SLUG = run_slug("r")


@pytest.fixture
def aws(aws_of_either_server: str) -> str:
    """Either server's address: what a lost answer means is the server's to decide."""
    return aws_of_either_server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "aws_of_either_server" in metafunc.fixturenames:
        metafunc.parametrize("aws_of_either_server", ["moto", "s3proxy"], indirect=True)


@pytest.fixture
def proxy(aws: str) -> Iterator[tuple[StoreSettings, Faults]]:
    with faulty_s3(aws) as (address, faults):
        yield StoreSettings(address, REGION), faults


@pytest.fixture
def record(bucket: str) -> S3Address:
    return S3Address(bucket, "runs/r/featurize.json")


@pytest.fixture
def place(proxy: tuple[StoreSettings, Faults], s3: S3Client, bucket: str) -> TablePlace:
    """The feature table as one writer sees it, whose requests go through the proxy; it holds one picture."""
    put_chunk(s3, bucket, "before", [Row("s3://b/images/0.jpg")])
    direct = place_of(s3, bucket)
    return TablePlace(direct.folder, {**direct.options, "AWS_ENDPOINT_URL": str(proxy[0].endpoint)})


def lying(s3: S3Client, record: S3Address) -> bytes:
    return s3.get_object(Bucket=record.bucket, Key=record.key)["Body"].read()


def rows(count: int) -> list[Row]:
    return [Row(f"s3://b/images/{number}.jpg") for number in range(1, count + 1)]


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
@pytest.mark.parametrize("times", [1, 3])
def test_our_chunk_counts_once_whatever_became_of_the_answers(
    proxy: tuple[StoreSettings, Faults], place: TablePlace, s3: S3Client, bucket: str, fault: str, times: int
) -> None:
    ours, theirs = (put_files(s3, place, SLUG, 0, found) for found in (rows(3), rows(2)))
    setattr(proxy[1], fault, times)
    assert commit_chunk(place, SLUG, 0, ours)
    assert visible_rows(s3, bucket).num_rows == 4
    assert not commit_chunk(place, SLUG, 0, theirs)
    assert visible_rows(s3, bucket).num_rows == 4


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
def test_the_chunk_of_another_try_is_never_taken_for_ours(
    proxy: tuple[StoreSettings, Faults], place: TablePlace, s3: S3Client, bucket: str, fault: str
) -> None:
    theirs, ours = (put_files(s3, place, SLUG, 0, found) for found in (rows(3), rows(2)))
    assert commit_chunk(place_of(s3, bucket), SLUG, 0, theirs)
    setattr(proxy[1], fault, 2)
    assert not commit_chunk(place, SLUG, 0, ours)
    assert visible_rows(s3, bucket).num_rows == 4


def test_another_run_that_commits_in_between_stops_nobody(
    proxy: tuple[StoreSettings, Faults], place: TablePlace, s3: S3Client, bucket: str
) -> None:
    ours = put_files(s3, place, SLUG, 0, rows(3))
    proxy[1].conflict = 1

    def another() -> None:
        put_chunk(s3, bucket, "another", [Row("s3://b/images/9.jpg")])

    proxy[1].before_conflict = another
    assert commit_chunk(place, SLUG, 0, ours)
    assert visible_rows(s3, bucket).num_rows == 5


def test_another_try_that_commits_in_between_is_found_out(
    proxy: tuple[StoreSettings, Faults], place: TablePlace, s3: S3Client, bucket: str
) -> None:
    theirs, ours = (put_files(s3, place, SLUG, 0, found) for found in (rows(2), rows(3)))
    proxy[1].conflict = 1

    def another_try() -> None:
        assert commit_chunk(place_of(s3, bucket), SLUG, 0, theirs)

    proxy[1].before_conflict = another_try
    assert not commit_chunk(place, SLUG, 0, ours)
    assert visible_rows(s3, bucket).num_rows == 3


@pytest.mark.timeout(300)
def test_many_writers_at_once_lose_and_double_nothing(s3: S3Client, bucket: str) -> None:
    """Four runs, each of two tries at once that commit the same three chunks, on a table that none of them made."""
    place = place_of(s3, bucket)

    def commit_all(run: int) -> list[bool]:
        slug = run_slug(f"run {run}")
        return [
            commit_chunk(place, slug, chunk, put_files(s3, place, slug, chunk, [Row(f"s3://b/{run}/{chunk}.jpg")]))
            for chunk in range(3)
        ]

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(commit_all, [0, 0, 1, 1, 2, 2, 3, 3]))
    for run in range(4):
        first, second = won[2 * run : 2 * run + 2]
        assert [a != b for a, b in zip(first, second, strict=True)] == [True] * 3, "exactly one of two tries counts"
    paths = visible_rows(s3, bucket)["path"].to_pylist()
    assert paths == [f"s3://b/{run}/{chunk}.jpg" for run in range(4) for chunk in range(3)]


def test_a_store_that_never_answers_is_one_clear_error_with_the_address(
    proxy: tuple[StoreSettings, Faults], place: TablePlace, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta_table, "PAUSES", (0.0,))
    ours = put_files(s3, place, SLUG, 0, rows(1))
    proxy[1].conflict = 10_000
    with pytest.raises(TableError, match=r"chunk 0 was not committed to s3://.*/features/model=0123456789abcdef: "):
        commit_chunk(place, SLUG, 0, ours)


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


def test_a_store_that_is_read_only_for_longer_than_ten_attempts_ends_no_commit(
    proxy: tuple[StoreSettings, Faults], place: TablePlace, s3: S3Client, bucket: str
) -> None:
    faults = proxy[1]
    ours = put_files(s3, place, SLUG, 0, rows(3))
    faults.read_only.set()
    with ThreadPoolExecutor(1) as pool:
        committing = pool.submit(commit_chunk, place, SLUG, 0, ours)
        while faults.refused < 13 and not committing.done():
            time.sleep(0.1)
        faults.read_only.clear()
        assert committing.result()
    assert faults.refused >= 13
    assert visible_rows(s3, bucket).num_rows == 4


def test_a_table_file_that_cannot_be_stored_is_one_expected_error_that_names_address_and_cause(
    proxy: tuple[StoreSettings, Faults], bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, faults = proxy
    monkeypatch.setattr("spark_jobs.store.object_store.PATIENCE", timedelta(seconds=0.2))
    faults.read_only.set()
    with pytest.raises(StepFailedError, match=r"features/part-0\.parquet cannot be written: .*503") as failed:
        write_table_file(settings, S3Address(bucket, "features/part-0.parquet"), pa.table({"path": ["a"]}))
    assert settings.endpoint
    assert settings.endpoint in str(failed.value)
    assert error_from_worker(f"x spark_jobs.job_errors.StepFailedError: {failed.value}") is not None

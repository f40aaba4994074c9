"""A file over ranges reads as any file does, and pyarrow reads Parquet from it; an object of the store is one."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger_rules.addresses import S3Address

from spark_jobs.store.object_store import StoreSettings
from spark_jobs.store.ranged_file import RangedFile
from spark_jobs.store.remote_file import RemoteFile
from spark_jobs.store.work_count import STORE_WORK

CONTENT = bytes(range(100))


@given(
    steps=st.lists(
        st.tuples(st.just("read"), st.integers(-1, 120))
        | st.tuples(st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]), st.integers(0, 120)),
        max_size=12,
    )
)
def test_it_reads_as_a_file_in_memory_does(steps: list[tuple[str | int, int]]) -> None:
    asked: list[tuple[int, int]] = []

    def read_range(start: int, length: int) -> bytes:
        asked.append((start, length))
        return CONTENT[start : start + length]

    ours, memory = RangedFile(len(CONTENT), read_range), io.BytesIO(CONTENT)
    for step, number in steps:
        if isinstance(step, int):
            assert ours.seek(number, step) == memory.seek(number, step) == ours.tell()
        else:
            assert ours.read(number) == memory.read(number)
    assert all(length > 0 and start + length <= len(CONTENT) for start, length in asked)


def test_a_range_that_comes_short_is_an_error_and_moves_nothing() -> None:
    short = RangedFile(100, lambda start, length: CONTENT[start : start + length - 1])
    short.seek(10)
    with pytest.raises(OSError, match="19 bytes came instead of 20 from 10 on"):
        short.read(20)
    assert short.tell() == 10


@pytest.fixture
def stored(s3: S3Client, bucket: str) -> S3Address:
    """A Parquet file of three columns and four row groups."""
    content = io.BytesIO()
    pq.write_table(pa.table({name: range(1000) for name in "abc"}), content, row_group_size=250)
    s3.put_object(Bucket=bucket, Key="a.parquet", Body=content.getvalue())
    return S3Address(bucket, "a.parquet")


def test_a_step_that_reads_parquet_moves_with_each_range(aws: str, stored: S3Address) -> None:
    before = STORE_WORK.value
    file = pq.ParquetFile(RemoteFile(StoreSettings(aws, "eu-west-1"), stored), pre_buffer=True)
    footer = STORE_WORK.value
    assert file.read_row_groups([1, 3], columns=["b"])["b"].to_pylist() == [*range(250, 500), *range(750, 1000)]
    assert before < footer < STORE_WORK.value


def test_an_object_that_is_not_there_is_said_when_it_is_opened(aws: str, bucket: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.parquet"):
        RemoteFile(StoreSettings(aws, "eu-west-1"), S3Address(bucket, "no.parquet"))


def test_an_object_that_goes_while_it_is_read_is_an_error_of_the_store(
    aws: str, stored: S3Address, s3: S3Client
) -> None:
    opened = RemoteFile(StoreSettings(aws, "eu-west-1"), stored)
    s3.delete_object(Bucket=stored.bucket, Key=stored.key)
    with pytest.raises(OSError, match=r"a\.parquet"):
        opened.read(10)

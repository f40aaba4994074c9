"""The record of an erasure counts once, whatever becomes of the answers to its conditional PUT."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.client import Config
from mypy_boto3_s3 import S3Client

from tests.faulty_s3 import Faults, faulty_s3
from tools.erasure import objects
from tools.erasure.objects import Bucket

OURS, THEIRS = b'{"by": "us"}', b'{"by": "another"}'
KEY = "commits/rewrite.00001.json"


@pytest.fixture
def faulty(aws: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, Faults]]:
    monkeypatch.setattr(objects, "PAUSES", (0.0, 0.0, 0.0))
    with faulty_s3(aws) as (address, faults):
        client = boto3.client(
            "s3", endpoint_url=address, region_name="eu-west-1", config=Config(retries={"total_max_attempts": 1})
        )
        yield Bucket(client, bucket, versioned=False), faults


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
@pytest.mark.parametrize("times", [1, 3])
def test_our_record_counts_once(faulty: tuple[Bucket, Faults], s3: S3Client, fault: str, times: int) -> None:
    bucket, faults = faulty
    setattr(faults, fault, times)
    assert bucket.put_once(KEY, OURS)
    assert not bucket.put_once(KEY, THEIRS)
    assert s3.get_object(Bucket=bucket.name, Key=KEY)["Body"].read() == OURS


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
def test_the_record_of_another_is_never_taken_for_ours(faulty: tuple[Bucket, Faults], s3: S3Client, fault: str) -> None:
    bucket, faults = faulty
    s3.put_object(Bucket=bucket.name, Key=KEY, Body=THEIRS)
    setattr(faults, fault, 2)
    assert not bucket.put_once(KEY, OURS)
    assert s3.get_object(Bucket=bucket.name, Key=KEY)["Body"].read() == THEIRS

"""Nothing leaves the EU."""

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from verger.run.eu_guard import (
    BucketMissingError,
    OutsideEuError,
    check_bucket,
    check_region,
    check_topic,
    is_local_endpoint,
)


@pytest.mark.parametrize("region", ["eu-west-2", "eu-central-2", "us-east-1", "EU", "", "eu-west-1 "])
def test_a_region_outside_the_eu_is_refused(region: str) -> None:
    with pytest.raises(OutsideEuError, match=repr(region)):
        check_region(region)


@pytest.mark.parametrize("region", ["us-west-2", "eu-west-2"])
def test_a_bucket_that_really_lies_elsewhere_is_refused(s3: S3Client, region: str) -> None:
    bucket = f"fruits-in-{region}"
    there = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, region_name=region)
    there.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})  # type: ignore[typeddict-item] # str
    with pytest.raises(OutsideEuError, match=region):
        check_bucket(s3, bucket)


def test_a_bucket_in_the_eu_is_accepted_and_its_region_reported(s3: S3Client, bucket: str) -> None:
    assert check_bucket(s3, bucket) == "eu-west-1"


def test_a_bucket_that_is_not_there_is_named(s3: S3Client) -> None:
    with pytest.raises(BucketMissingError, match="no-such-fruits"):
        check_bucket(s3, "no-such-fruits")


def test_mails_go_through_a_topic_in_the_eu() -> None:
    assert check_topic("arn:aws:sns:eu-north-1:123456789012:verger") == "eu-north-1"
    for arn in ("arn:aws:sns:eu-west-2:123456789012:verger", "arn:aws:sns", "arn:"):
        with pytest.raises(OutsideEuError, match="VERGER_TOPIC_ARN"):
            check_topic(arn)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:5000", True),
        ("http://localhost:9000", True),
        ("http://[::1]:9000", True),
        ("https://s3.eu-west-1.amazonaws.com", False),
        ("https://vpce-1.s3.eu-west-1.vpce.amazonaws.com", False),
        ("https://1.1.1.1", False),
        ("https://no-such-host.invalid", False),
    ],
)
def test_only_an_endpoint_on_this_machine_or_its_network_is_local(url: str, local: bool) -> None:
    assert is_local_endpoint(url) is local

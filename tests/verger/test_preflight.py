"""What a run uses is located before anything is created, and refused when it lies outside the EU."""

from pathlib import Path

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from verger.preflight import check_inputs, check_patience, check_places
from verger.run.deployment import Deployment
from verger.run.eu_guard import OutsideEuError
from verger.run.settings import SettingError, Settings

TOPIC = "arn:aws:sns:eu-central-1:123456789012:verger"


def elsewhere(s3: S3Client, bucket: str) -> str:
    there = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, region_name="eu-west-2")
    there.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    return bucket


def test_every_resource_is_told_with_its_region(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="w.h5", Body=b"weights")
    s3.put_object(Bucket=bucket, Key="wheels/numpy-1-py3-none-any.whl", Body=b"a wheel")
    settings = Settings(bucket=bucket, region="eu-west-1", weights=f"s3://{bucket}/w.h5")
    deployment = Deployment(home=Path(), wheelhouse_uri=f"s3://{bucket}/wheels", topic_arn=TOPIC)
    assert check_inputs(s3, settings) | check_places(s3, deployment) == {
        "bucket": "eu-west-1", "logs": "eu-west-1", "cluster": "eu-west-1", "weights": "eu-west-1",
        "wheelhouse": "eu-west-1", "topic": "eu-central-1",
    }  # fmt: skip


def test_what_there_is_not_is_not_told(s3: S3Client, bucket: str) -> None:
    assert check_places(s3, Deployment(home=Path())) == {}
    assert set(check_inputs(s3, Settings(bucket=bucket, region="eu-west-1"))) == {"bucket", "logs", "cluster"}


def test_an_inventory_in_london_is_refused(s3: S3Client) -> None:
    uri = f"s3://{elsewhere(s3, 'lists-of-london')}/fruits/daily"
    with pytest.raises(OutsideEuError, match=r"lists-of-london.*eu-west-2"):
        check_places(s3, Deployment(home=Path(), inventory_uri=uri))


def test_a_wheelhouse_in_london_is_refused(s3: S3Client) -> None:
    uri = f"s3://{elsewhere(s3, 'wheels-of-london')}/wheels"
    with pytest.raises(OutsideEuError, match=r"wheels-of-london.*eu-west-2"):
        check_places(s3, Deployment(home=Path(), wheelhouse_uri=uri))


def test_weights_in_london_are_refused(s3: S3Client, bucket: str) -> None:
    weights = f"s3://{elsewhere(s3, 'nets-of-london')}/w.h5"
    with pytest.raises(OutsideEuError, match="nets-of-london"):
        check_inputs(s3, Settings(bucket=bucket, region="eu-west-1", weights=weights))


def test_a_wheelhouse_without_wheels_is_refused_before_there_is_a_cluster(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="wheels2/numpy-1-py3-none-any.whl", Body=b"of another folder")
    s3.put_object(Bucket=bucket, Key="wheels/requirements.txt", Body=b"no wheel")
    with pytest.raises(SettingError, match="there is no wheel in it"):
        check_places(s3, Deployment(home=Path(), wheelhouse_uri=f"s3://{bucket}/wheels"))


def test_a_step_that_would_be_told_to_stand_still_between_two_looks_is_refused() -> None:
    settings = Settings(bucket="fruits", region="eu-west-1", stalled_minutes=2, idle_minutes=120)
    with pytest.raises(SettingError, match=r"stalled_minutes is 2.*choose at least 3$"):
        check_patience(settings, Deployment(home=Path(), poll_seconds=120))
    check_patience(settings, Deployment(home=Path(), poll_seconds=119))


@pytest.mark.parametrize(("idle", "poll", "least"), [(1, 30, "2"), (2, 31, "3"), (7, 120, "8")])
def test_a_cluster_that_would_end_between_two_tasks_is_refused(idle: int, poll: int, least: str) -> None:
    settings = Settings(bucket="fruits", region="eu-west-1", idle_minutes=idle)
    with pytest.raises(SettingError, match=f"idle_minutes is {idle}.*choose at least {least}$"):
        check_patience(settings, Deployment(home=Path(), poll_seconds=poll))
    check_patience(settings, Deployment(home=Path(), poll_seconds=15 * idle))

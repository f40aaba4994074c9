"""Which model a run uses."""

import hashlib
import json
import sys
from pathlib import Path

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from verger.artifacts.model_store import ModelError, check_weights, ensure_model, find_wanted_model, fingerprint_of
from verger.run.deployment import Deployment
from verger.run.eu_guard import OutsideEuError
from verger.storage.layout import BucketLayout

#: A program in place of tools/prepare_model.py that refuses its weights, as the real one does.
REFUSING = "import sys; print('noise', file=sys.stderr); sys.exit('verger: error: weights.h5 has 3 layers')"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    file = tmp_path / "weights.h5"
    file.write_bytes(b"weights")
    return file


def put_model(s3: S3Client, bucket: str, fingerprint: str, kind: str) -> None:
    s3.put_object(Bucket=bucket, Key=f"models/{fingerprint}/model.json", Body=json.dumps({"weights": kind}))


def test_the_fingerprint_follows_the_documented_formula(weights: Path) -> None:
    text = f"verger-model-1\nmobilenet_v2_1.0\n224\nfloat32\n{hashlib.sha256(b'weights').hexdigest()}"
    assert fingerprint_of(weights) == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert fingerprint_of(weights, "int8") != fingerprint_of(weights)


def test_a_weights_file_finds_its_own_model_and_no_other(s3: S3Client, bucket: str, weights: Path) -> None:
    layout = BucketLayout(bucket)
    put_model(s3, bucket, "f" * 16, "imagenet")
    s3.put_object(Bucket=bucket, Key="models/default.json", Body=json.dumps({"fingerprint": "f" * 16}))
    assert find_wanted_model(s3, layout, str(weights)) is None
    put_model(s3, bucket, fingerprint_of(weights), "file")
    found = find_wanted_model(s3, layout, str(weights))
    assert found
    assert (found.fingerprint, found.weights) == (fingerprint_of(weights), "file")
    assert found.uri == f"s3://{bucket}/models/{found.fingerprint}"


def test_without_a_weights_file_the_default_model_is_used(s3: S3Client, bucket: str) -> None:
    layout = BucketLayout(bucket)
    assert find_wanted_model(s3, layout, "") is None
    s3.put_object(Bucket=bucket, Key="models/default.json", Body=json.dumps({"fingerprint": "f" * 16}))
    assert find_wanted_model(s3, layout, "") is None  # the pointer alone is no model
    put_model(s3, bucket, "f" * 16, "random")
    found = find_wanted_model(s3, layout, "")
    assert found
    assert found.weights == "random"


def test_a_missing_weights_file_is_named(s3: S3Client, bucket: str) -> None:
    with pytest.raises(ModelError, match=r"/no/such\.h5"):
        find_wanted_model(s3, BucketLayout(bucket), "/no/such.h5")


def test_where_nothing_can_prepare_the_model_the_command_to_run_once_is_named(
    s3: S3Client, bucket: str, weights: Path, tmp_path: Path
) -> None:
    deployment = Deployment(home=tmp_path)
    with pytest.raises(ModelError, match=r"tools/prepare_model\.py --models-uri") as refusal:
        ensure_model(s3, BucketLayout(bucket), deployment, str(weights), {})
    assert str(weights) in str(refusal.value)


def test_the_reason_of_a_failed_preparation_is_the_task_s_reason(
    s3: S3Client, bucket: str, weights: Path, tmp_path: Path
) -> None:
    tool = tmp_path / "tools" / "prepare_model.py"
    tool.parent.mkdir()
    tool.write_text(REFUSING)
    deployment = Deployment(home=tmp_path, model_python=Path(sys.executable))
    with pytest.raises(ModelError, match=r"could not be prepared: weights\.h5 has 3 layers$"):
        ensure_model(s3, BucketLayout(bucket), deployment, str(weights), {})


def test_weights_at_an_s3_address_find_the_model_that_they_make(s3: S3Client, bucket: str, weights: Path) -> None:
    s3.upload_file(str(weights), bucket, "weights/my net.h5")
    put_model(s3, bucket, fingerprint_of(weights), "file")
    there = f"s3://{bucket}/weights/my net.h5"
    assert check_weights(s3, there) == "eu-west-1"
    assert check_weights(s3, str(weights)) == "this machine"
    model = ensure_model(s3, BucketLayout(bucket), Deployment(home=Path()), there, {})
    assert model.fingerprint == fingerprint_of(weights)
    s3.put_object(Bucket=bucket, Key="weights/my net.h5", Body=b"others")
    with pytest.raises(ModelError, match=r"run once.*--weights my net\.h5"):
        ensure_model(s3, BucketLayout(bucket), Deployment(home=Path()), there, {})


def test_weights_that_are_not_there_or_not_in_the_eu_are_refused_before_anything_is_made(
    s3: S3Client, bucket: str
) -> None:
    for address in (f"s3://{bucket}/no.h5", f"s3://{bucket}/", "/no/such/weights.h5"):
        with pytest.raises(ModelError, match=r"there is no such (file|object)"):
            check_weights(s3, address)
    there = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, region_name="eu-west-2")
    there.create_bucket(Bucket="weights-of-london", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    with pytest.raises(OutsideEuError, match="eu-west-2"):
        check_weights(s3, "s3://weights-of-london/w.h5")

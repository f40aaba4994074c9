"""A bucket to review, and what the program asks of S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.review.orchards import Events, Orchard

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client


@pytest.fixture
def orchard(s3: S3Client, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Orchard:
    """An empty bucket, and a review that is yet to be saved."""
    return Orchard(s3, bucket, tmp_path / "review.csv", capsys)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    """The events of the clients that are made from now on."""
    client: Any = boto3.client
    events = Events()

    def made(*words: Any, **more: Any) -> Any:
        found = client(*words, **more)
        for event, handler in events.handlers:
            found.meta.events.register(event, handler)
        return found

    monkeypatch.setattr(boto3, "client", made)
    return events


@pytest.fixture
def conditions(events: Events, s3: S3Client) -> None:
    """Copies keep both of their conditions, as S3's do; moto looks at neither."""

    def etag(bucket: str, key: str) -> str:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
        return next((entry["ETag"] for entry in found if entry["Key"] == key), "")

    def keep(model: Any, params: Any, context: Any, **_: object) -> None:
        headers, target = params["headers"], context["input_params"]
        copied = etag(*unquote(headers["x-amz-copy-source"]).split("/", 1))
        there = etag(target["Bucket"], target["Key"])
        if copied != headers["x-amz-copy-source-if-match"] or (headers["If-None-Match"] == "*" and there):
            answer: Any = {"Error": {"Code": "PreconditionFailed"}, "ResponseMetadata": {"HTTPStatusCode": 412}}
            raise ClientError(answer, model.name)

    events.on("before-call.s3.CopyObject", keep)

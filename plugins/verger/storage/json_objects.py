"""Small JSON objects on S3: one PUT each, so that nobody reads half of one."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import ClientError
from verger_rules.addresses import S3Address

from verger.storage.byte_objects import put_bytes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class StoredJson(NamedTuple):
    """An object's content, and the ETag that it had with it."""

    content: dict[str, Any]
    etag: str


def read_json(s3: "S3Client", address: S3Address) -> dict[str, Any] | None:
    """Read an object; None when there is none."""
    stored = read_stored(s3, address)
    return None if stored is None else stored.content


def read_stored(s3: "S3Client", address: S3Address) -> StoredJson | None:
    """Read an object with its ETag; None when there is none."""
    try:
        answer = s3.get_object(Bucket=address.bucket, Key=address.key)
        body = answer["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise
    return StoredJson(cast("dict[str, Any]", json.loads(body)), answer["ETag"])


def write_json(s3: "S3Client", address: S3Address, content: Mapping[str, Any]) -> None:
    """Write an object in one PUT."""
    put_bytes(s3, address, json_bytes(content), "application/json")


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """The object as it is stored."""
    return json.dumps(content, indent=1).encode()

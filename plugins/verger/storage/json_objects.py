"""Small JSON objects on S3: one PUT each, so that nobody reads half of one."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError
from verger_rules.addresses import S3Address

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def read_json(s3: "S3Client", address: S3Address) -> dict[str, Any] | None:
    """Read an object; None when there is none."""
    try:
        body = s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise
    return cast("dict[str, Any]", json.loads(body))


def write_json(s3: "S3Client", address: S3Address, content: Mapping[str, Any]) -> None:
    """Write an object in one PUT."""
    s3.put_object(
        Bucket=address.bucket,
        Key=address.key,
        Body=json_bytes(content),
        ContentType="application/json",
    )


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """The object as it is stored."""
    return json.dumps(content, indent=1).encode()

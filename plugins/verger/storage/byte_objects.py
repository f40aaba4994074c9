"""Small files on S3: one PUT each, so that nobody reads half of one."""

from typing import TYPE_CHECKING

from verger_rules.addresses import S3Address

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def put_bytes(s3: "S3Client", address: S3Address, content: bytes, content_type: str) -> None:
    """Write an object."""
    s3.put_object(Bucket=address.bucket, Key=address.key, Body=content, ContentType=content_type)

"""What a bucket has, and whether it has a picture already."""

import base64
import logging
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError
from verger_rules.addresses import S3Address

from verger.storage.file_names import is_folder
from verger.sync.pictures import SourcePicture, StoredPicture, UnreadableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

#: The metadata of a copied picture that tells what was copied (docs/formats.md).
CONTENT = "verger-content"


def list_objects(s3: "S3Client", place: S3Address) -> dict[str, StoredPicture]:
    """The objects under a prefix, by their keys."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.key)
    return {
        entry["Key"]: StoredPicture(entry["ETag"].strip('"'), entry["Size"], entry["LastModified"])
        for page in pages
        for entry in page.get("Contents", ())
        if not is_folder(entry["Key"], entry["Size"])
    }


def md5_content(digest: str) -> str:
    """A picture's content by the MD5 of its bytes (hex)."""
    return f"md5:{digest}"


def etag_content(etag: str) -> str:
    """A picture's content by what its bucket calls it."""
    return f"etag:{etag}"


def put_picture(s3: "S3Client", bucket: str, key: str, body: "BinaryIO | bytes", md5: str) -> None:
    """Put a picture whose bytes have this MD5 (hex); raises UnreadableError when other bytes came.

    One part, whatever the size (S3 takes up to 5 GB): the ETag is then the MD5, in a bucket without KMS.
    """
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            # S3 refuses what has another, so the metadata is true of the object, even of a file that is being written.
            ContentMD5=base64.b64encode(bytes.fromhex(md5)).decode(),
            Metadata={CONTENT: md5_content(md5)},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "BadDigest":
            raise UnreadableError("it changed while it was read") from error
        raise


def is_unchanged(s3: "S3Client", bucket: str, picture: SourcePicture, stored: StoredPicture, content: str) -> bool:
    """Whether the bucket has this content of a picture already.

    The ETag of the listing says so where it is the MD5, or the origin's own. Of an object that was put in parts, or
    that KMS encrypts, it says nothing of the content: then the metadata of the copy does, and costs one request.
    """
    if stored.etag == content.partition(":")[2]:
        return True
    try:
        head = s3.head_object(Bucket=bucket, Key=picture.key)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status not in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
            raise
        if status == HTTPStatus.FORBIDDEN:
            _warn_of_rights(bucket)
        return False
    return head["ETag"].strip('"') == stored.etag and head["Metadata"].get(CONTENT) == content


@cache
def _warn_of_rights(bucket: str) -> None:
    log.warning(
        "pictures of %s are copied again: without s3:GetObject on them nobody can tell whether they changed", bucket
    )

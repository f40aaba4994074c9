"""What a bucket has."""

from typing import TYPE_CHECKING

from verger.storage.layout import S3Address
from verger.sync.pictures import StoredPicture

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def list_objects(s3: "S3Client", place: S3Address) -> dict[str, StoredPicture]:
    """The objects under a prefix, by their keys."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.key)
    return {
        entry["Key"]: StoredPicture(entry["ETag"].strip('"'), entry["Size"], entry["LastModified"])
        for page in pages
        for entry in page.get("Contents", ())
        if not entry["Key"].endswith("/")  # what consoles create for an empty folder
    }

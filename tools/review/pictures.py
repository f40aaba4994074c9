"""The pictures of a bucket, one by one: looked at, compared, copied and deleted, each only as it was looked at."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from verger.storage.conditional_writes import delete_unchanged
from verger.sync.stored import CONTENT
from verger_rules.addresses import S3Address

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

_NOT_THERE = {"404", "NoSuchKey", "NotFound"}
#: A condition failed, or another write for the key is under way: what lies there then decides.
_OVERTAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_NOT_OFFERED = {"NotImplemented", "501"}
#: What S3 answers of one picture, and not of the whole work.
_REASONS = {
    "InvalidObjectState": "it is in an archive: restore it first",
    "InvalidRequest": "S3 does not copy it (is it larger than 5 GB?)",
}


class CopyError(Exception):
    """One picture cannot be copied; the message is the reason."""


@dataclass(frozen=True)
class Picture:
    """A picture as it lies in the bucket.

    Attributes:
        storage_class: its class; empty for S3's usual one.
        from_source: whether a sync copied it here.
    """

    key: str
    etag: str
    size: int
    modified: datetime
    storage_class: str
    from_source: bool


@dataclass(frozen=True)
class Pictures:
    """The pictures of one bucket."""

    s3: S3Client
    bucket: str

    def look(self, key: str) -> Picture | None:
        """A picture as it is now; None when it is not there."""
        try:
            head = self.s3.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            raise
        return Picture(
            key,
            head["ETag"],
            head["ContentLength"],
            head["LastModified"],
            head.get("StorageClass", ""),
            from_source=CONTENT in head["Metadata"],
        )

    def is_empty(self, folder: str) -> bool:
        """Whether nothing lies below a folder, which ends in `/`."""
        return not self.s3.list_objects_v2(Bucket=self.bucket, Prefix=folder, MaxKeys=1).get("Contents")

    def same_bytes(self, one: Picture, other: Picture) -> bool:
        """Whether two pictures have the same bytes; they are read where their ETags do not say so.

        Of an object that was put in parts, or that KMS encrypts, the ETag is not that of its copy.
        """
        if one.size != other.size:
            return False
        return one.etag == other.etag or self._digest(one) == self._digest(other)

    def _digest(self, picture: Picture) -> str:
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=picture.key, IfMatch=picture.etag)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE | _OVERTAKEN:
                return f"{picture.key} changed"  # equal to no digest
            raise
        digest = hashlib.sha256()
        for block in body.iter_chunks(1 << 20):
            digest.update(block)
        return digest.hexdigest()

    def copy(self, picture: Picture, target: str) -> None:
        """Copy a picture with its metadata to a key that has none; whether it worked, a look at the key says.

        A server that offers no condition on the target gets a copy without: look at the target before.

        Raises CopyError when S3 does not copy this picture, ClientError when it refuses the work.
        """
        request: dict[str, Any] = {
            "Bucket": self.bucket,
            "Key": target,
            "CopySource": {"Bucket": self.bucket, "Key": picture.key},
            "CopySourceIfMatch": picture.etag,
        }
        if picture.storage_class:
            request["StorageClass"] = picture.storage_class
        try:
            self._copy(request)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _REASONS:
                raise CopyError(_REASONS[code]) from error
            if code not in _OVERTAKEN | _NOT_THERE:
                raise

    def _copy(self, request: dict[str, Any]) -> None:
        try:
            self.s3.copy_object(**request, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_OFFERED:
                raise
            self.s3.copy_object(**request)

    def delete(self, picture: Picture) -> bool:
        """Delete a picture if it is still the one that was looked at; whether it was deleted."""
        return delete_unchanged(self.s3, S3Address(self.bucket, picture.key), picture.etag)

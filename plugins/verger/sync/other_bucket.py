"""Pictures in another bucket, or under another prefix: S3 copies them, their bytes do not come here."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from verger_rules.addresses import S3Address

from verger.storage.layout import BucketLayout
from verger.storage.left_out import LeftOut, LeftOutFiles, leave_out
from verger.sync.pictures import (
    SourceError,
    SourcePicture,
    StoredPicture,
    UnreadableError,
    check_any,
    reason_to_leave_out,
)
from verger.sync.stored import CONTENT, etag_content, list_objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


#: What S3 says of an original that cannot be copied as it was listed.
_UNREADABLE = {
    "PreconditionFailed": "it changed since it was listed",
    "NoSuchKey": "it went since it was listed",
    "InvalidObjectState": "it is in an archive, restore it first",
}


class BucketSource:
    """A prefix of a bucket: what is below it is copied under the same names."""

    def __init__(self, s3: "S3Client", place: S3Address, layout: BucketLayout) -> None:
        """Raises SourceError when the place and the bucket's own pictures lie in one another."""
        self.place = S3Address(place.bucket, place.key if not place.key or place.key.endswith("/") else place.key + "/")
        if place.bucket == layout.bucket and (
            self.place.key.startswith(layout.images_prefix) or layout.images_prefix.startswith(self.place.key)
        ):
            raise SourceError(
                f"source is {self.place.uri!r}, the run's pictures s3://{layout.bucket}/{layout.images_prefix}: "
                "one lies in the other; name another folder"
            )
        self.images_prefix = layout.images_prefix
        self._s3 = s3
        self._tagging: dict[str, Any] = {"TaggingDirective": "REPLACE"}
        self._found: dict[str, StoredPicture] = {}

    def pictures(self) -> tuple[list[SourcePicture], list[LeftOut]]:
        """The pictures, by name; raises SourceError when there is none."""
        self._found = list_objects(self._s3, self.place)
        pictures: list[SourcePicture] = []
        found = LeftOutFiles()
        for source_key, stored in sorted(self._found.items()):
            name = source_key.removeprefix(self.place.key)
            key = self.images_prefix + name
            if reason := reason_to_leave_out(name, key):
                found.add(leave_out(name, self.images_prefix, reason))
            else:
                pictures.append(SourcePicture(name, key, stored.size))
        left_out = found.entries()
        check_any(pictures, left_out, self.place.uri)
        return pictures, left_out

    def content(self, picture: SourcePicture) -> str:
        """The original's ETag: other bytes have another, however they were put and encrypted."""
        return etag_content(self._etag(picture))

    def copy(self, picture: SourcePicture, s3: "S3Client", bucket: str) -> None:
        """Let S3 copy an object."""
        tagging = self._tagging
        try:
            self._copy(picture, s3, bucket, **tagging)
        except ClientError as error:
            # Some servers know no tags, and then there are none to leave behind.
            if error.response["Error"]["Code"] != "NotImplemented" or not tagging:
                raise
            self._tagging = {}
            self._copy(picture, s3, bucket)

    def _copy(self, picture: SourcePicture, s3: "S3Client", bucket: str, **tagging: Any) -> None:  # noqa: ANN401
        try:
            s3.copy_object(
                Bucket=bucket,
                Key=picture.key,
                CopySource={"Bucket": self.place.bucket, "Key": self.place.key + picture.name},
                CopySourceIfMatch=self._etag(picture),
                # Of the original only its bytes are of interest here: metadata is anything, and may be personal.
                MetadataDirective="REPLACE",
                Metadata={CONTENT: self.content(picture)},
                **tagging,
            )
        except ClientError as error:
            if reason := _UNREADABLE.get(error.response["Error"]["Code"]):
                raise UnreadableError(reason) from error
            raise

    def _etag(self, picture: SourcePicture) -> str:
        return self._found[self.place.key + picture.name].etag

"""The bucket's objects with all their versions: listed, read in parts, deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError
from verger_rules.delta_table import TablePlace, store_options

from spark_jobs.ranged_file import RangedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mypy_boto3_s3 import S3Client
    from verger_rules.addresses import S3Address

NOT_OFFERED = {"NotImplemented", "501", "MethodNotAllowed"}
GONE = {"NoSuchKey", "NoSuchVersion", "404"}
AT_ONCE = 8


@dataclass(frozen=True)
class StoredObject:
    """One version of an object.

    Attributes:
        version: its version id; empty in a bucket that has no versions, or for what is read without asking for one.
        current: whether it is what a GET without a version gives.
        marker: a delete marker, which has no content.
    """

    key: str
    size: int
    version: str = ""
    current: bool = True
    marker: bool = False


@dataclass(frozen=True)
class Bucket:
    """One bucket.

    Attributes:
        versioned: whether versions are listed and deleted.
    """

    s3: S3Client
    name: str
    versioned: bool

    def objects(self, prefix: str) -> list[StoredObject]:
        """Everything below a prefix: all versions where the bucket is versioned."""
        return list(self._versions(prefix) if self.versioned else self._current(prefix))

    def _current(self, prefix: str) -> Iterator[StoredObject]:
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield StoredObject(entry["Key"], entry["Size"])

    def _versions(self, prefix: str) -> Iterator[StoredObject]:
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix):
            for entry in page.get("Versions", ()):
                yield StoredObject(entry["Key"], entry["Size"], entry["VersionId"], entry["IsLatest"])
            for marker in page.get("DeleteMarkers", ()):
                yield StoredObject(marker["Key"], 0, marker["VersionId"], marker["IsLatest"], marker=True)

    def read(self, stored: StoredObject) -> bytes | None:
        """The whole content of a version; None when it is gone."""
        try:
            return self.s3.get_object(Bucket=self.name, Key=stored.key, **_version(stored))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise

    def open(self, stored: StoredObject) -> RangedFile:
        """A version as a file to read at any place; raises OSError when the bucket does not give it."""

        def read_range(start: int, length: int) -> bytes:
            asked = f"bytes={start}-{start + length - 1}"
            try:
                answer = self.s3.get_object(Bucket=self.name, Key=stored.key, Range=asked, **_version(stored))
                return answer["Body"].read()
            except ClientError as error:
                raise OSError(f"s3://{self.name}/{stored.key}: {error}") from error

        return RangedFile(stored.size, read_range)

    def put(self, key: str, content: bytes, content_type: str = "application/octet-stream") -> None:
        """Write an object."""
        self.s3.put_object(Bucket=self.name, Key=key, Body=content, ContentType=content_type)

    def delete(self, some: Iterable[StoredObject]) -> None:
        """Delete objects for good: a version by its id, so that no delete marker takes its place."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._delete, some))

    def _delete(self, stored: StoredObject) -> None:
        self.s3.delete_object(Bucket=self.name, Key=stored.key, **_version(stored))


def open_bucket(s3: S3Client, name: str, *, all_versions: bool) -> Bucket:
    """A bucket, and whether its versions are looked at: when it has any and they are asked for."""
    return Bucket(s3, name, versioned=all_versions and has_versions(s3, name))


def has_versions(s3: S3Client, name: str) -> bool:
    """Whether the bucket keeps versions, or kept them once; a server without versions has none."""
    try:
        return "Status" in s3.get_bucket_versioning(Bucket=name)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if error.response["Error"]["Code"] in NOT_OFFERED or status == 501:  # noqa: PLR2004 - Not Implemented
            return False
        raise


def table_place(bucket: Bucket, folder: S3Address) -> TablePlace:
    """A feature table, reached at the same endpoint as its bucket and with the same credentials."""
    endpoint = str(bucket.s3.meta.endpoint_url)
    # A client of boto3 is led to the bucket's own region, deltalake is not.
    region = bucket.s3.head_bucket(Bucket=bucket.name).get("BucketRegion") or bucket.s3.meta.region_name
    found = boto3.Session().get_credentials()
    key = found.get_frozen_credentials() if found else None
    named = {
        "AWS_ACCESS_KEY_ID": key.access_key if key else None,
        "AWS_SECRET_ACCESS_KEY": key.secret_key if key else None,
        "AWS_SESSION_TOKEN": key.token if key else None,
    }
    credentials = {name: value for name, value in named.items() if value}
    return TablePlace(folder, store_options(region, None if _is_aws(endpoint) else endpoint, credentials))


def _is_aws(endpoint: str) -> bool:
    return (urlsplit(endpoint).hostname or "").endswith(".amazonaws.com")


def _version(stored: StoredObject) -> dict[str, Any]:
    return {"VersionId": stored.version} if stored.version else {}

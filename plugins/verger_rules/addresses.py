"""Addresses of objects: `s3://bucket/key` with the key as it is, never percent-encoded."""

import re
from typing import NamedTuple

#: What the client with which the nodes read has no path for: C0, DEL, and a segment that is empty, `.` or `..`; a
#: regular expression of RE2, whose `\z` Python writes `\Z`.
NEVER_READ = r"[\x00-\x1f\x7f]|(?:^|/)\.{0,2}(?:/|\z)"
_NEVER_READ = re.compile(NEVER_READ.replace(r"\z", r"\Z"))


class AddressError(ValueError):
    """A text is not an address of S3."""


class S3Address(NamedTuple):
    """A bucket and a key (or a key prefix without its last `/`)."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The address as `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"

    def child(self, relative: str) -> "S3Address":
        """The address of something below this one."""
        return S3Address(self.bucket, f"{self.key}/{relative}" if self.key else relative)

    @property
    def parent(self) -> "S3Address":
        """The folder that holds this object."""
        return S3Address(self.bucket, self.key.rpartition("/")[0])


def parse_uri(uri: str) -> S3Address:
    """Split `s3://bucket/key`; the key may be empty. Raises AddressError for anything else."""
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        raise AddressError(f"{uri!r} is not an S3 address: write s3://bucket/key")
    return S3Address(bucket, key)


def parse_object_uri(uri: str) -> S3Address:
    """Split an object's address; every character after `s3://bucket/` belongs to the key.

    Raises:
        AddressError: not an S3 address, or one without a key.
    """
    address = parse_uri(uri)
    if not address.key:
        raise AddressError(f"{uri!r} is not the address of an S3 object: write s3://bucket/key")
    return address


def parse_folder_uri(uri: str) -> S3Address:
    """Split a folder's address; a `/` at its end is dropped.

    Raises:
        AddressError: not an S3 address, or one of a whole bucket.
    """
    return parse_object_uri(uri.rstrip("/"))


def is_readable_key(key: str) -> bool:
    """Whether the nodes can read an object by its key; a picture under another one is the reject `unsupported_key`."""
    return not _NEVER_READ.search(key)

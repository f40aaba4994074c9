"""The S3 that holds scripts, code and logs."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from pathlib import Path

    from local_emr.settings import LocalEmrSettings

_URI = re.compile(r"s3[an]?://([^/]+)/(.*)", re.DOTALL)


class StorageError(RuntimeError):
    """An object could not be read or written; the message names it."""


def bucket_and_key(uri: str) -> tuple[str, str]:
    """The parts of an s3://, s3a:// or s3n:// address; the key is taken as it is.

    Raises:
        ValueError: It is none.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(f"{uri!r} is not an address like s3://bucket/key")
    return match[1], match[2]


class Storage:
    """Reads and writes whole objects; safe to share between threads."""

    def __init__(self, settings: LocalEmrSettings, endpoint: str) -> None:
        """Open no connection yet."""
        #: Set when the server ends: what is tried again and again ends then.
        self.closed = threading.Event()
        self._s3 = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                retries={"max_attempts": 3},
                connect_timeout=5,
                # What is on this machine is not asked for through a proxy.
                proxies={} if urlsplit(endpoint).hostname in ("127.0.0.1", "localhost") else None,
            ),
        )

    def download(self, uri: str, to: Path) -> None:
        """Write the object to a file, making its folder.

        Raises:
            StorageError: It is not there, or cannot be read.
        """
        bucket, key = bucket_and_key(uri)
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._s3.download_file(bucket, key, str(to))
        except (ClientError, BotoCoreError, OSError) as error:
            raise StorageError(f"{uri} could not be downloaded: {error}") from error

    def upload(self, uri: str, content: bytes) -> None:
        """Write the object.

        Raises:
            StorageError: It cannot be written.
        """
        bucket, key = bucket_and_key(uri)
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        except (ClientError, BotoCoreError) as error:
            raise StorageError(f"{uri} could not be written: {error}") from error

"""Reads a step's own log from S3, so that a failure's cause stands in Airflow's."""

import gzip
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from verger.layout import S3Address, parse_uri

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What a job puts before its one-line cause (docs/formats.md, "The jobs").
ERROR_MARK = "verger: error: "
_TAIL_LINES = 40


def step_log_address(log_uri: str, cluster_id: str, step_id: str, name: str = "stderr") -> S3Address:
    """Where EMR puts a step's log."""
    root = parse_uri(log_uri.replace("s3n://", "s3://", 1).rstrip("/"))
    return S3Address(root.bucket, f"{root.key}/{cluster_id}/steps/{step_id}/{name}.gz".lstrip("/"))


def read_log(s3: "S3Client", address: S3Address) -> str | None:
    """A gzipped log as text; None while it is not there or is not whole."""
    try:
        packed = s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise
    try:
        return gzip.decompress(packed).decode("utf-8", "replace")
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None


def wait_for_log(
    s3: "S3Client",
    address: S3Address,
    *,
    patience_seconds: float,
    poll_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Read a log that EMR may still be writing (it copies logs every few minutes, and when a cluster ends).

    Returns once the log names a cause or has stopped growing; None when none came within `patience_seconds`.
    """
    before: str | None = None
    for _ in range(max(1, int(patience_seconds / poll_seconds))):
        text = read_log(s3, address)
        if text is not None and (ERROR_MARK in text or text == before):
            return text
        before = text
        sleep(poll_seconds)
    return before


def tail(text: str, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def cause_of(text: str) -> str | None:
    """The one-line cause that a job gave; None when it gave none."""
    lines = [line for line in text.splitlines() if ERROR_MARK in line]
    return lines[-1].partition(ERROR_MARK)[2].strip() if lines else None

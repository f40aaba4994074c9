"""Reads a step's own log from S3, so that a failure's cause stands in Airflow's."""

import gzip
import logging
import time
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from verger_rules.addresses import S3Address, parse_uri
from verger_rules.innermost_cause import innermost_cause

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

#: A step's logs. Spark in client mode hands on all that a Python driver says, its errors as well, as its own stdout
#: (org.apache.spark.deploy.PythonRunner merges the two streams); stderr holds Spark's own log.
LOG_NAMES = ("stdout", "stderr")
#: EMR's own account of the step, which it closes when the step has ended: once that is there, there is no more to come.
CONTROLLER = "controller"
#: What a job puts before its one-line cause (docs/formats.md, "The jobs").
ERROR_MARK = "verger: error: "
_TAIL_LINES = 40
#: S3 tells whole seconds, and its clock is not EMR's.
_CLOCK_TOLERANCE = timedelta(seconds=5)


def log_root(log_uri: str) -> S3Address:
    """The folder of a cluster's `LogUri`, in which each cluster has one of its own."""
    return parse_uri(log_uri.replace("s3n://", "s3://", 1).rstrip("/"))


def step_log_address(log_uri: str, cluster_id: str, step_id: str, name: str) -> S3Address:
    """Where EMR puts a step's log."""
    root = log_root(log_uri)
    return S3Address(root.bucket, f"{root.key}/{cluster_id}/steps/{step_id}/{name}.gz".lstrip("/"))


class StepLog(NamedTuple):
    """What a log object held, and when it was written."""

    text: str
    written_at: datetime


def read_log(s3: "S3Client", address: S3Address) -> StepLog | None:
    """A gzipped log; None while it is not there or is not whole."""
    try:
        answer = s3.get_object(Bucket=address.bucket, Key=address.key)
        text = gzip.decompress(answer["Body"].read()).decode("utf-8", "replace")
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
    return StepLog(text, answer["LastModified"])


def wait_for_logs(
    s3: "S3Client",
    addresses: Sequence[S3Address],
    controller: S3Address,
    *,
    ended_at: datetime,
    patience_seconds: float,
    poll_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Read the logs of a step that ended, which EMR copies every few minutes and when a cluster ends.

    Returns once one of them names a cause or all there are were written after the step's end, or a look after the
    controller's log was: a log to which the step's end added nothing is not copied again. Else it returns after
    `patience_seconds`; a log that never came is empty.
    """
    newest_needed = ended_at - _CLOCK_TOLERANCE
    closed = False
    for look in range(max(1, int(patience_seconds / poll_seconds))):
        account = _look(s3, controller)
        last_look, closed = closed, account is not None and account.written_at >= newest_needed
        logs = [_look(s3, address) for address in addresses]
        texts = [found.text if found else "" for found in logs]
        there = [found for found in logs if found]
        if last_look or cause_of("\n".join(texts)):
            return texts
        if there and all(found.written_at >= newest_needed for found in there):
            return texts
        if look == 0:
            log.info(
                "waiting up to %.0f s for the end of the log at %s/: EMR copies logs to S3 about every five minutes and"
                " when a cluster ends",
                patience_seconds,
                controller.uri.rpartition("/")[0],
            )
        sleep(poll_seconds)
    log.warning("the log did not come within %.0f s: what is told is what there is", patience_seconds)
    return texts


def _look(s3: "S3Client", address: S3Address) -> StepLog | None:
    """A log, or None: that S3 does not answer must not hide why the step failed."""
    try:
        return read_log(s3, address)
    except (BotoCoreError, ClientError) as error:
        log.warning("%s cannot be read: %s", address.uri, error)
        return None


def tail(text: str, lines: int = _TAIL_LINES) -> str:
    """The last lines of a log."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def cause_of(text: str) -> str | None:
    """The one-line cause that a job gave; None when it gave none."""
    lines = [line for line in text.splitlines() if ERROR_MARK in line]
    return lines[-1].partition(ERROR_MARK)[2].strip() if lines else None


def cause_in(logs: Sequence[str]) -> str | None:
    """Why a step failed, by its logs: the cause that the job gave, else the innermost error that its logs hold."""
    given = cause_of("\n".join(logs))
    return given or next((found for log in logs if (found := innermost_cause(log))), None)

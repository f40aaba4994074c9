"""A failed step's own log."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from mypy_boto3_s3 import S3Client
from verger.cluster.step_logs import cause_in, cause_of, read_log, step_log_address, tail, wait_for_logs
from verger_rules.addresses import S3Address

from tests.contract.test_innermost_cause import OF_A_WORKER

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize("root", ["s3://b/logs/", "s3://b/logs", "s3n://b/logs/"])
def test_the_log_is_where_emr_puts_it(root: str) -> None:
    assert step_log_address(root, "j-1", "s-2", "stderr").uri == "s3://b/logs/j-1/steps/s-2/stderr.gz"


def test_a_log_that_is_not_there_or_not_whole_is_none(s3: S3Client, bucket: str) -> None:
    address = S3Address(bucket, "stderr.gz")
    assert read_log(s3, address) is None
    s3.put_object(Bucket=bucket, Key="stderr.gz", Body=gzip.compress(b"x" * 1000)[:-9])
    assert read_log(s3, address) is None
    s3.put_object(Bucket=bucket, Key="stderr.gz", Body=gzip.compress("é\n".encode()))
    log = read_log(s3, address)
    assert log
    assert log.text == "é\n"


def test_waiting_ends_as_soon_as_the_log_names_the_cause(s3: S3Client, bucket: str) -> None:
    address = S3Address(bucket, "late.gz")
    versions = iter([b"starting\n", b"starting\nworking\n", b"starting\nworking\nverger: error: no model\n"])
    waits = 0

    def sleep(_: float) -> None:
        nonlocal waits
        waits += 1
        s3.put_object(Bucket=bucket, Key="late.gz", Body=gzip.compress(next(versions)))

    none, text = wait_for_logs(
        s3,
        [S3Address(bucket, "none.gz"), address],
        S3Address(bucket, "controller-none.gz"),
        ended_at=LATER,
        patience_seconds=100,
        poll_seconds=1,
        sleep=sleep,
    )
    assert (none, cause_of(text)) == ("", "no model")
    assert waits == 3


def test_waiting_ends_with_a_log_that_was_written_after_the_step_s_end(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="killed.gz", Body=gzip.compress(b"killed\n"))
    address = S3Address(bucket, "killed.gz")
    found = wait_for_logs(
        s3,
        [address],
        S3Address(bucket, "controller-none.gz"),
        ended_at=NOW,
        patience_seconds=100,
        poll_seconds=1,
        sleep=lambda _: None,
    )
    assert found == ["killed\n"]


def test_a_log_from_before_the_step_s_end_is_waited_for_and_then_taken(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="stale.gz", Body=gzip.compress(b"half\n"))
    waits: list[float] = []
    found = wait_for_logs(
        s3,
        [S3Address(bucket, "stale.gz")],
        S3Address(bucket, "controller-none.gz"),
        ended_at=LATER,
        patience_seconds=3,
        poll_seconds=1,
        sleep=waits.append,
    )
    assert (found, len(waits)) == (["half\n"], 3)


def test_a_log_to_which_the_end_added_nothing_is_taken_one_look_after_emr_closed_its_account(
    s3: S3Client, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="unchanged.gz", Body=gzip.compress(b"0 of 600 images\n"))
    s3.put_object(Bucket=bucket, Key="controller.gz", Body=gzip.compress(b"step failed\n"))
    ended_at = s3.head_object(Bucket=bucket, Key="controller.gz")["LastModified"]
    older = ended_at - timedelta(minutes=5)

    class Older:
        """The store as it is when the step's log was copied long before its end."""

        def get_object(self, **asked: str) -> object:
            answer = s3.get_object(Bucket=asked["Bucket"], Key=asked["Key"])
            return answer if asked["Key"] == "controller.gz" else {**answer, "LastModified": older}

    waits: list[float] = []
    found = wait_for_logs(
        Older(),  # type: ignore[arg-type] # the one method that is used
        [S3Address(bucket, "unchanged.gz")],
        S3Address(bucket, "controller.gz"),
        ended_at=ended_at,
        patience_seconds=100,
        poll_seconds=1,
        sleep=waits.append,
    )
    assert (found, len(waits)) == (["0 of 600 images\n"], 1)


def test_waiting_for_a_log_that_never_comes_ends(s3: S3Client, bucket: str) -> None:
    address = S3Address(bucket, "never.gz")
    assert wait_for_logs(
        s3,
        [address],
        S3Address(bucket, "controller-none.gz"),
        ended_at=NOW,
        patience_seconds=3,
        poll_seconds=1,
        sleep=lambda _: None,
    ) == [""]


def test_the_last_cause_counts_and_the_tail_is_the_end() -> None:
    text = "verger: error: first\nnoise\n26/11/21 verger: error: second \nINFO done\n"
    assert cause_of(text) == "second"
    assert cause_of("Traceback\n") is None
    assert tail("1\n2\n3\n\n", 2) == "2\n3"


def test_without_a_cause_of_the_job_s_own_it_is_the_innermost_error_of_its_logs() -> None:
    assert str(cause_in(["", OF_A_WORKER])).startswith(
        "obstore.exceptions.GenericError: Generic S3 error: status code: 503"
    )
    assert cause_in([OF_A_WORKER, "verger: error: no model"]) == "no model"
    assert cause_in(["", "26/11/21 12:00:00 INFO X: bye"]) is None

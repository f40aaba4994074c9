"""What a step's stderr says of its failure, and when its logs are stored."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import pytest

from local_emr.job_logs import JobLogs, last_words, root_cause
from local_emr.storage import StorageError, bucket_and_key
from tests.contract.test_innermost_cause import OF_A_WORKER, OF_S3A
from tests.local_emr.conftest import wait_until

if TYPE_CHECKING:
    from pathlib import Path

SPARK_STDERR = """26/11/21 12:00:00 INFO SparkContext: Running Spark version 4.1.1
Traceback (most recent call last):
  File "/tmp/featurize.py", line 9, in <module>
    raise SystemExit(main())
ValueError: k=2000 is larger than the number of features, 1280
26/11/21 12:00:03 INFO ShutdownHookManager: Shutdown hook called
26/11/21 12:00:03 INFO ShutdownHookManager: Deleting directory /tmp/spark-1
"""


@pytest.mark.parametrize(
    ("stderr", "cause"),
    [
        ("", ""),
        ("\n \n", ""),
        ("just this\n", "just this"),
        (SPARK_STDERR, "ValueError: k=2000 is larger than the number of features, 1280"),
        ("verger: error: the bucket is not there\nbye\n", "verger: error: the bucket is not there"),
        ("java.io.IOException: full\n\tat org.x.Y(Z.java:1)\n\t... 12 more\n", "java.io.IOException: full"),
        ("x" * 5000, "x" * 1000),
    ],
)
def test_the_cause_is_the_line_that_complains_last(stderr: str, cause: str) -> None:
    assert root_cause(stderr) == cause


@pytest.mark.parametrize(
    ("stdout", "words"),
    [
        ("", ""),
        ("rows 5\nerrors 0\n", ""),
        ("Traceback (most recent call last):\n  File\nValueError: k=5\n", "ValueError: k=5"),
        (
            "a\npyspark.errors.exceptions.base.PySparkValueError: [X] no\n\n",
            "pyspark.errors.exceptions.base.PySparkValueError: [X] no",
        ),
        ("verger: error: the bucket is not there\n", "verger: error: the bucket is not there"),
        ("KeyboardInterrupt\n", "KeyboardInterrupt"),
        (
            "py4j.protocol.Py4JJavaError: An error occurred\n: java.io.IOException: full\n\tat org.x.Y.z(Y.java:1)\n",
            "java.io.IOException: full",
        ),
        ("ValueError: handled\n" + "on we go\n" * 9, ""),
    ],
)
def test_a_programs_last_words_are_the_error_it_ended_with(stdout: str, words: str) -> None:
    assert last_words(stdout) == words


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://b/k", ("b", "k")),
        ("s3n://b/a b/é+%23#=.jpg", ("b", "a b/é+%23#=.jpg")),
        ("s3a://b/", ("b", "")),
    ],
)
def test_an_address_gives_bucket_and_key_as_they_are(uri: str, parts: tuple[str, str]) -> None:
    assert bucket_and_key(uri) == parts


@pytest.mark.parametrize("uri", ["b/k", "http://b/k", "s3://", "s3:///k"])
def test_what_is_no_address_is_refused(uri: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        bucket_and_key(uri)


class _Shelf:
    """Keeps what is uploaded; refuses while it is closed."""

    def __init__(self) -> None:
        self.objects: dict[str, str] = {}
        self.uploads = 0
        self.open = True
        self.closed = threading.Event()

    def upload(self, uri: str, content: bytes) -> None:
        if not self.open:
            raise StorageError("closed")
        self.uploads += 1
        self.objects[uri] = gzip.decompress(content).decode()


def test_only_files_that_grew_are_stored_again_and_a_failure_is_made_up_for(tmp_path: Path) -> None:
    shelf = _Shelf()
    logs = JobLogs(tmp_path / "logs", "s3://b/x", shelf)  # type: ignore[arg-type] # the same method
    logs.publish()
    assert shelf.uploads == 3
    logs.stderr.write_text("oh\n")
    shelf.open = False
    logs.publish()
    shelf.open = True
    logs.publish()
    assert shelf.uploads == 4
    assert shelf.objects["s3://b/x/stderr.gz"] == "oh\n"


def test_without_an_address_nothing_is_stored(tmp_path: Path) -> None:
    shelf = _Shelf()
    JobLogs(tmp_path / "logs", None, shelf).publish()  # type: ignore[arg-type] # the same method
    assert shelf.uploads == 0


def test_the_last_logs_are_stored_when_the_store_takes_them_again_and_nobody_waits(tmp_path: Path) -> None:
    shelf = _Shelf()
    logs = JobLogs(tmp_path / "logs", "s3://b/x", shelf)  # type: ignore[arg-type] # the same method
    logs.stderr.write_text("verger: error: the bucket is read-only\n")
    shelf.open = False
    logs.publish_last([0.05] * 400)
    assert shelf.objects == {}
    shelf.open = True
    wait_until(lambda: len(shelf.objects) == 3)
    assert "read-only" in shelf.objects["s3://b/x/stderr.gz"]


def test_the_last_logs_are_given_up_after_a_while(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shelf = _Shelf()
    shelf.open = False
    JobLogs(tmp_path / "logs", "s3://b/x", shelf).publish_last([0.0, 0.0])  # type: ignore[arg-type] # the same method
    wait_until(lambda: "the last logs of s3://b/x were not stored" in caplog.text)


def test_the_cause_is_the_innermost_one_of_both_logs_unless_the_program_says_one(tmp_path: Path) -> None:
    logs = JobLogs(tmp_path / "logs", None, _Shelf())  # type: ignore[arg-type] # the same method
    logs.stdout.write_text(OF_A_WORKER)
    cause, log = logs.cause()
    assert (cause.split(":")[0], log) == ("obstore.exceptions.GenericError", "stdout")
    assert "http://127.0.0.1:7070/b/features/x.parquet" in cause
    logs.stdout.write_text(OF_A_WORKER + "verger: error: s3://b/x cannot be written\n")
    assert logs.cause() == ("verger: error: s3://b/x cannot be written", "stdout")
    logs.stdout.write_text("working\n")
    logs.stderr.write_text(OF_S3A)
    assert "S3Exception: Please reduce" in logs.cause()[0]
    assert logs.cause()[1] == "stderr"

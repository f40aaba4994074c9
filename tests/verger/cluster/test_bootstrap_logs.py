"""What a failed bootstrap action wrote, found where EMR keeps it."""

import gzip

import pytest
from mypy_boto3_s3 import S3Client
from verger.cluster.bootstrap_logs import (
    BootstrapLog,
    find_bootstrap_log,
    last_complaint,
    may_have_a_log,
    wait_for_bootstrap_log,
)
from verger_rules.addresses import S3Address

FAILED = "On the master instance (i-0a), bootstrap action 2 returned a non-zero return code"


def put(s3: S3Client, bucket: str, node: str, action: int, text: str) -> str:
    key = f"logs/j-1/node/{node}/bootstrap-actions/{action}/stderr.gz"
    s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(text.encode()))
    return f"s3://{bucket}/{key}"


def test_the_log_is_that_of_the_node_and_action_that_emr_names(s3: S3Client, bucket: str) -> None:
    for node in ("i-00", "i-0a", "i-ff"):
        for action in (1, 2):
            put(s3, bucket, node, action, f"{node} {action}\n")
    found = find_bootstrap_log(s3, f"s3://{bucket}/logs/", "j-1", FAILED)
    assert found
    assert found.text == "i-0a 2\n"


@pytest.mark.parametrize(
    "message",
    [
        "On 2 slave instances (including i-0b and i-0c), bootstrap action 1 returned a non-zero return code",
        "bootstrap action failed",
    ],
)
def test_where_emr_names_nobody_who_wrote_anything_the_first_words_are_taken(
    s3: S3Client, bucket: str, message: str
) -> None:
    s3.put_object(Bucket=bucket, Key="logs/j-1/node/i-0a/applications/x.gz", Body=b"")
    put(s3, bucket, "i-0b", 1, "")
    wanted = put(s3, bucket, "i-0c", 1, "no space left\n")
    found = find_bootstrap_log(s3, f"s3n://{bucket}/logs", "j-1", message)
    assert found
    assert (found.address.uri, found.text) == (wanted, "no space left\n")


def test_of_a_cluster_that_stored_nothing_there_is_nothing(s3: S3Client, bucket: str) -> None:
    put(s3, bucket, "i-0a", 2, "another cluster's\n")
    assert find_bootstrap_log(s3, f"s3://{bucket}/logs", "j-2", FAILED) is None


def test_only_a_bootstrap_action_that_ran_has_a_log() -> None:
    assert may_have_a_log({"Code": "BOOTSTRAP_FAILURE", "Message": FAILED})
    assert not may_have_a_log({"Code": "BOOTSTRAP_FAILURE", "Message": "bootstrap action 1 download failed"})
    assert not may_have_a_log({"Code": "INTERNAL_ERROR", "Message": "no capacity"})
    assert not may_have_a_log({})


def test_the_cause_is_the_last_line_that_speaks_of_an_error_else_the_last() -> None:
    assert last_complaint("bootstrap: error: first\nERROR: no wheel\n+ exit 1\n\n") == "ERROR: no wheel"
    assert last_complaint("+ cp a b\nno space left on device\n") == "no space left on device"
    assert last_complaint("\n") == ""


def test_waiting_ends_with_a_cause_or_with_a_log_that_grows_no_more_or_with_its_bound() -> None:
    where = S3Address("b", "k")
    growing = iter([None, BootstrapLog(where, "working"), BootstrapLog(where, "working"), None])
    waits: list[float] = []
    found = wait_for_bootstrap_log(lambda: next(growing), patience_seconds=100, poll_seconds=10, sleep=waits.append)
    assert (found, waits) == (BootstrapLog(where, "working"), [10, 10])
    at_once = BootstrapLog(where, "bootstrap: error: no wheel")
    assert wait_for_bootstrap_log(lambda: at_once, patience_seconds=100, poll_seconds=10, sleep=waits.append) == at_once
    assert len(waits) == 2
    assert wait_for_bootstrap_log(lambda: None, patience_seconds=30, poll_seconds=10, sleep=waits.append) is None
    assert len(waits) == 5

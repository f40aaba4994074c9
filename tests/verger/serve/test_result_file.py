"""A file is read in small pieces, and what S3 says becomes one of few answers."""

import socket
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.serve.result_file import (
    FileMissingError,
    StoreRefusedError,
    StoreUnreachableError,
    Wanted,
    check_name,
    content_type,
    exists,
    read_file,
)
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.addresses import S3Address


@given(st.lists(st.sampled_from(["..", ".", "", "a", "é b", "%2e", "\\", "\0", "\n", "a..b", "..."]), max_size=5))
def test_a_name_that_passes_is_made_of_plain_parts(parts: list[str]) -> None:
    name = "/".join(parts)
    plain = bool(parts) and not {"..", ".", "", "\\", "\0", "\n"} & set(parts)
    if plain:
        assert check_name(name) == name
    else:
        with pytest.raises(FileMissingError):
            check_name(name)


@given(st.text(max_size=40))
def test_a_name_that_passes_stays_below_the_results(name: str) -> None:
    try:
        checked = check_name(name)
    except FileMissingError:
        return
    run = RunLayout(BucketLayout("fruits"), "r")
    key = run.result_file(checked).key
    assert key.startswith(f"results/{run.slug}/")
    assert not {"", ".", ".."} & set(key.split("/"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.HTML", "text/html; charset=utf-8"),
        ("a.html.exe", "application/octet-stream"),
        ("html", "application/octet-stream"),
    ],
)
def test_what_is_not_known_is_bytes(name: str, expected: str) -> None:
    assert content_type(name) == expected


def test_a_large_file_is_never_held_whole(s3: S3Client, bucket: str) -> None:
    size = 3_000_000
    s3.put_object(Bucket=bucket, Key="large", Body=bytes(size))
    answer = read_file(s3, S3Address(bucket, "large"), Wanted())
    pieces = [len(chunk) for chunk in answer.chunks]
    assert sum(pieces) == size
    assert max(pieces) <= 256 * 1024


def test_the_connection_is_given_back_when_the_reader_goes_away(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="large", Body=bytes(3_000_000))
    body: list[Any] = []
    s3.meta.events.register("after-call.s3.GetObject", lambda parsed, **_: body.append(parsed["Body"]))
    chunks: Any = read_file(s3, S3Address(bucket, "large"), Wanted()).chunks
    next(chunks)
    chunks.close()
    assert body[0]._raw_stream.closed


def test_what_is_not_there_is_missing(s3: S3Client, bucket: str) -> None:
    assert not exists(s3, S3Address(bucket, "nothing"))
    assert not exists(s3, S3Address("no-such-bucket", "nothing"))
    with pytest.raises(FileMissingError):
        read_file(s3, S3Address(bucket, "nothing"), Wanted())


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", StoreRefusedError),
        (400, "ExpiredToken", StoreRefusedError),
        (503, "SlowDown", StoreUnreachableError),
        (500, "InternalError", StoreUnreachableError),
        (404, "NoSuchKey", FileMissingError),
    ],
)
def test_what_s3_says_becomes_one_of_three_reasons(
    s3: S3Client, status: int, code: str, expected: type[Exception]
) -> None:
    with Stubber(s3) as stubber:
        stubber.add_client_error("get_object", code, http_status_code=status)
        with pytest.raises(expected):
            read_file(s3, S3Address("fruits", "a"), Wanted())


def test_s3_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))  # and nobody listens
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
            region_name="eu-west-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",  # noqa: S106 -- moto takes anything
            config=Config(connect_timeout=1, retries={"total_max_attempts": 1}),
        )
        with pytest.raises(StoreUnreachableError):
            read_file(client, S3Address("fruits", "a"), Wanted())

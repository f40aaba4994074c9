"""Reading images by key: in order, patient with a store that is busy, clear about what cannot be read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

import obstore.store
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger_rules.addresses import is_readable_key

from spark_jobs.job_errors import StoreUnavailableError
from spark_jobs.store.object_store import StoreSettings
from spark_jobs.worker import fetch
from spark_jobs.worker.fetch import FetchedImage, FetchLimits, ImageItem, fetch_ahead, fetch_image

LIMITS = FetchLimits(threads=4, waiting_bytes=10_000, image_bytes=5_000)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(fetch, "LONGEST_PAUSE_SECONDS", 0.002)


def item(bucket: str, key: str, size: int = 10) -> ImageItem:
    return ImageItem(f"s3://{bucket}/{key}", "listed", "label", size)


def read(settings: StoreSettings, bucket: str, key: str, most: int = 5_000) -> FetchedImage:
    return fetch_image(item(bucket, key), settings, most, threading.Event())


#: Beside HTTP statuses: a body that ends before its end, and a connection that is closed without an answer.
CUT_OFF, NO_ANSWER = -1, -2


@contextmanager
def store_answering(statuses: list[int], body: bytes = b"picture") -> Iterator[tuple[StoreSettings, list[str]]]:
    """A server that gives these statuses one after the other, the last for ever; and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status = statuses[min(len(asked), len(statuses)) - 1]
            if status == NO_ANSWER:
                return
            whole = status in {200, CUT_OFF}
            content = body if whole else b"<Error><Code>SlowDown</Code></Error>"
            self.send_response(200 if whole else status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", '"now"')
            self.send_header("Last-Modified", "Sat, 21 Nov 2026 12:00:00 GMT")
            self.end_headers()
            self.wfile.write(content[:3] if status == CUT_OFF else content)

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield StoreSettings(f"http://127.0.0.1:{server.server_port}", "eu-west-1"), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


KEYS = [
    "a b.jpg",
    "é.jpg",
    "e\u0301.jpg",
    "a+b.jpg",
    "100%.jpg",
    "a%20b.jpg",
    "%2F.jpg",
    "a#b=c?d&e.jpg",
    "..a/b...jpg",
]
KEYS += ["a\\b'\"*~[1]{2}|^`<>;:@,!.jpg", "日本.jpg", "\x85\u202e.jpg"]


@pytest.mark.parametrize("key", KEYS)
def test_each_key_reads_exactly_its_own_object(s3: S3Client, bucket: str, aws: str, key: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key=key, Body=key.encode())["ETag"].strip('"')
    got = read(StoreSettings(aws, "eu-west-1"), bucket, key)
    assert (got.content, got.etag, got.reason) == (key.encode(), etag, "")


UNSUPPORTED_KEYS = [
    "a//b.jpg",
    "/first.jpg",
    "//first.jpg",
    "last/",
    "a/../b.jpg",
    "a/./b.jpg",
    "..",
    "./a.jpg",
    "a/..",
]
UNSUPPORTED_KEYS += ["tab\t.jpg", "line\n.jpg", "nul\0.jpg", "del\x7f.jpg"]


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("key", UNSUPPORTED_KEYS)
def test_a_key_without_a_path_is_a_reject_that_says_what_to_do_and_no_other_object_is_read(key: str) -> None:
    with store_answering([200]) as (settings, asked):
        got = read(settings, "bucket", key)
    assert (got.item, got.content, got.etag, got.reason) == (item("bucket", key), None, "listed", "unsupported_key")
    assert "rename the object" in got.detail
    assert asked == []


def test_what_was_deleted_is_gone(bucket: str, aws: str) -> None:
    got = read(StoreSettings(aws, "eu-west-1"), bucket, "gone.jpg")
    assert (got.content, got.reason, got.etag) == (None, "gone", "listed")


def test_more_bytes_than_allowed_are_not_read(s3: S3Client, bucket: str, aws: str) -> None:
    s3.put_object(Bucket=bucket, Key="a.jpg", Body=b"x" * 100)
    got = read(StoreSettings(aws, "eu-west-1"), bucket, "a.jpg", most=99)
    assert (got.content, got.reason) == (None, "too_many_bytes")


PASSING = [304, 408, 409, 412, 429, 500, 501, 502, 503, 504, CUT_OFF, NO_ANSWER]


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("status", PASSING)
def test_a_busy_store_is_asked_again(status: int) -> None:
    with store_answering([status, status, 200]) as (settings, asked):
        got = read(settings, "bucket", "a.jpg")
    assert (got.content, got.etag, got.retries) == (b"picture", "now", 2)
    assert len(asked) == 3


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("status", [301, 408, 429, 502, 503, 504, CUT_OFF, NO_ANSWER])
def test_throttling_without_end_fails_the_step_and_blames_no_image(status: int) -> None:
    """So does a wrong region, for which S3 answers 301."""
    with store_answering([status]) as (settings, asked), pytest.raises(StoreUnavailableError, match="run again later"):
        read(settings, "bucket", "a.jpg")
    assert len(asked) == fetch.ATTEMPTS


@pytest.mark.usefixtures("aws")
def test_a_store_that_is_not_there_fails_the_step() -> None:
    with pytest.raises(StoreUnavailableError):
        read(StoreSettings("http://127.0.0.1:9", "eu-west-1"), "bucket", "a.jpg")


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("status", [401, 403, 404, 503])
def test_no_credentials_fail_the_step_and_blame_no_image(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's metadata service, or its role, says what S3 says of an image that is gone or forbidden."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with store_answering([status]) as (metadata, asked), store_answering([200]) as (settings, pictures):
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", str(metadata.endpoint))
        with pytest.raises(StoreUnavailableError):
            read(settings, "bucket", "a.jpg")
    assert set(asked) == {"/latest/api/token"}
    assert pictures == []


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("status", "reason", "attempts"),
    [
        (400, "unreadable", 1),
        (401, "forbidden", 1),
        (403, "forbidden", 1),
        (404, "gone", 1),
        (405, "unreadable", 1),
        (410, "gone", 1),
        (416, "unreadable", 1),
        (304, "unreadable", 11),
        (409, "unreadable", 11),
        (412, "unreadable", 11),
        (500, "unreadable", 11),
        (501, "unreadable", 11),
    ],
)
def test_an_object_the_store_never_gives_is_a_reject(status: int, reason: str, attempts: int) -> None:
    with store_answering([status]) as (settings, asked):
        assert read(settings, "bucket", "a.jpg").reason == reason
    assert len(asked) == attempts


def test_images_come_in_order_and_never_more_wait_than_allowed(s3: S3Client, bucket: str, aws: str) -> None:
    items = [item(bucket, f"{number}.jpg", 3_000) for number in range(20)]
    for number in range(20):
        s3.put_object(Bucket=bucket, Key=f"{number}.jpg", Body=str(number).encode())
    taken: list[ImageItem] = []

    def counted() -> Iterator[ImageItem]:
        for one in items:
            taken.append(one)
            yield one

    for number, got in enumerate(fetch_ahead(counted(), StoreSettings(aws, "eu-west-1"), LIMITS)):
        assert got.content == str(number).encode()
        # three of 3,000 bytes fit in 10,000; one more was looked at, and one is in our hands
        assert len(taken) <= number + 5


def test_images_that_grew_since_they_were_listed_are_held_one_at_a_time(
    s3: S3Client, bucket: str, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [str(number).encode() * (4_000 if number % 3 else 1) for number in range(10)]
    for number, body in enumerate(bodies):
        s3.put_object(Bucket=bucket, Key=f"{number}.jpg", Body=body)
    limits = FetchLimits(threads=4, waiting_bytes=2_000, image_bytes=5_000)
    read_early: list[int] = []

    def noted(*arguments: Any) -> FetchedImage:
        got = fetch_image(*arguments)
        if threading.current_thread() is not threading.main_thread():
            read_early.append(len(got.content or b""))
        return got

    monkeypatch.setattr(fetch, "fetch_image", noted)
    items = [item(bucket, f"{number}.jpg", 10) for number in range(10)]
    got = list(fetch_ahead(items, StoreSettings(aws, "eu-west-1"), limits))
    assert [(one.item, one.content, one.reason) for one in got] == [
        (listed, body, "") for listed, body in zip(items, bodies, strict=True)
    ]
    assert (len(read_early), max(read_early)) == (10, 1)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(("body", "asked_for"), [(10, 1), (60, 1), (63, 2), (5_001, 2)])
def test_only_an_image_that_grew_much_is_asked_for_twice(body: int, asked_for: int) -> None:
    limits = FetchLimits(threads=4, waiting_bytes=2_000, image_bytes=5_000)
    with store_answering([200], b"x" * body) as (settings, asked):
        (got,) = fetch_ahead([item("bucket", "a.jpg", 10)], settings, limits)
    assert len(asked) == asked_for
    if body > limits.image_bytes:
        assert (got.content, got.reason, got.detail) == (
            None,
            "too_many_bytes",
            "5001 bytes; --max-image-bytes is 5000",
        )
    else:
        assert got.content == b"x" * body


@pytest.mark.usefixtures("aws")
def test_an_image_that_was_listed_as_too_large_is_asked_for_once() -> None:
    limits = FetchLimits(threads=4, waiting_bytes=2_000, image_bytes=5_000)
    with store_answering([200], b"x" * 5_001) as (settings, asked):
        (got,) = fetch_ahead([item("bucket", "a.jpg", 5_001)], settings, limits)
    assert (got.reason, len(asked)) == ("too_many_bytes", 1)


def test_reads_are_asked_for_many_at_a_time(s3: S3Client, bucket: str, aws: str) -> None:
    """A new read for each image taken would wake threads between any two calls of the model."""
    for number in range(40):
        s3.put_object(Bucket=bucket, Key=f"{number}.jpg", Body=b"x")
    taken: list[ImageItem] = []

    def counted() -> Iterator[ImageItem]:
        for number in range(40):
            taken.append(item(bucket, f"{number}.jpg", 1))
            yield taken[-1]

    limits = FetchLimits(threads=4, waiting_bytes=1000, image_bytes=1000)
    fillings = {len(taken) for _ in fetch_ahead(counted(), StoreSettings(aws, "eu-west-1"), limits)}
    assert len(fillings) <= 40 / 4


@given(key=st.text(st.sampled_from("a./\t\n\x7f\x85\\%é") | st.characters(codec="utf-8"), min_size=1, max_size=8))
def test_the_rule_for_keys_that_cannot_be_read_is_that_of_the_client(key: str) -> None:
    empty = obstore.store.MemoryStore()
    with mock.patch.object(fetch, "open_store", return_value=empty):
        item = ImageItem(f"s3://fruits/{key}", "", "", 1)
        got = fetch_image(item, StoreSettings(None, "eu-west-1"), 1, threading.Event())
    assert got.reason == ("gone" if is_readable_key(key) else "unsupported_key")

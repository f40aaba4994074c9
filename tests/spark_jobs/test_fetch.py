"""Reading images by key: any key, in order, patient with a store that is busy, clear about what cannot be read."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from mypy_boto3_s3 import S3Client

from spark_jobs import fetch
from spark_jobs.fetch import FetchedImage, FetchLimits, ImageItem, fetch_ahead, fetch_image
from spark_jobs.job_errors import StoreUnavailableError
from spark_jobs.object_store import StoreSettings
from spark_jobs.signed_get import Credentials, needs_signed_get, signature_headers

LIMITS = FetchLimits(threads=4, waiting_bytes=10_000, image_bytes=5_000)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(fetch, "LONGEST_PAUSE_SECONDS", 0.002)


def item(bucket: str, key: str, size: int = 10) -> ImageItem:
    return ImageItem(f"s3://{bucket}/{key}", "listed", "label", size)


def read(settings: StoreSettings, bucket: str, key: str, most: int = 5_000) -> FetchedImage:
    return fetch_image(item(bucket, key), settings, most, threading.Event())


@contextmanager
def store_answering(statuses: list[int], body: bytes = b"picture") -> Iterator[tuple[StoreSettings, list[str]]]:
    """A server that gives these statuses one after the other, the last for ever; and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status = statuses[min(len(asked), len(statuses)) - 1]
            content = body if status == 200 else b"<Error><Code>SlowDown</Code></Error>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", '"now"')
            self.send_header("Last-Modified", "Sat, 21 Nov 2026 12:00:00 GMT")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield StoreSettings(f"http://127.0.0.1:{server.server_port}", "eu-west-1"), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


KEYS = ["a b.jpg", "é.jpg", "e\u0301.jpg", "a+b.jpg", "100%.jpg", "a%20b.jpg", "%2F.jpg", "a#b=c?d&e.jpg", "a//b.jpg"]
KEYS += [
    "/first.jpg",
    "a/../b.jpg",
    "a/./b.jpg",
    "..",
    "last/",
    "tab\t.jpg",
    "a\\b'\"*~[1]{2}|^`<>;:@,!.jpg",
    "日本.jpg",
]


@pytest.mark.parametrize("key", KEYS)
def test_each_key_reads_exactly_its_own_object(s3: S3Client, bucket: str, aws: str, key: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key=key, Body=key.encode())["ETag"].strip('"')
    got = read(StoreSettings(aws, "eu-west-1"), bucket, key)
    assert (got.content, got.etag, got.reason) == (key.encode(), etag, "")


@pytest.mark.parametrize("key", ["gone.jpg", "gone//too.jpg"])
def test_what_was_deleted_is_gone(bucket: str, aws: str, key: str) -> None:
    got = read(StoreSettings(aws, "eu-west-1"), bucket, key)
    assert (got.content, got.reason, got.etag) == (None, "gone", "listed")


@pytest.mark.parametrize("key", ["a.jpg", "a//b.jpg"])
def test_more_bytes_than_allowed_are_not_read(s3: S3Client, bucket: str, aws: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 100)
    got = read(StoreSettings(aws, "eu-west-1"), bucket, key, most=99)
    assert (got.content, got.reason) == (None, "too_many_bytes")


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("status", [500, 503, 429])
@pytest.mark.parametrize("key", ["a.jpg", "a//b.jpg"])
def test_a_busy_store_is_asked_again(status: int, key: str) -> None:
    with store_answering([status, status, 200]) as (settings, asked):
        got = read(settings, "bucket", key)
    assert (got.content, got.etag, got.retries) == (b"picture", "now", 2)
    assert len(asked) == 3


@pytest.mark.usefixtures("aws")
def test_throttling_without_end_fails_the_step_and_blames_no_image() -> None:
    with store_answering([503]) as (settings, asked), pytest.raises(StoreUnavailableError, match="run again later"):
        read(settings, "bucket", "a.jpg")
    assert len(asked) == fetch.ATTEMPTS


@pytest.mark.usefixtures("aws")
def test_a_store_that_is_not_there_fails_the_step() -> None:
    with pytest.raises(StoreUnavailableError):
        read(StoreSettings("http://127.0.0.1:9", "eu-west-1"), "bucket", "a.jpg")


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("status", "reason", "attempts"), [(403, "forbidden", 1), (400, "unreadable", 1), (500, "unreadable", 11)]
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


@pytest.mark.parametrize("folder", ["", "a//"])
def test_images_that_grew_since_they_were_listed_are_held_one_at_a_time(
    s3: S3Client, bucket: str, aws: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [str(number).encode() * (4_000 if number % 3 else 1) for number in range(10)]
    for number, body in enumerate(bodies):
        s3.put_object(Bucket=bucket, Key=f"{folder}{number}.jpg", Body=body)
    limits = FetchLimits(threads=4, waiting_bytes=2_000, image_bytes=5_000)
    read_early: list[int] = []

    def noted(*arguments: Any) -> FetchedImage:
        got = fetch_image(*arguments)
        if threading.current_thread() is not threading.main_thread():
            read_early.append(len(got.content or b""))
        return got

    monkeypatch.setattr(fetch, "fetch_image", noted)
    items = [item(bucket, f"{folder}{number}.jpg", 10) for number in range(10)]
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


def test_obstore_is_left_only_for_keys_it_has_no_path_for() -> None:
    odd = {"a//b.jpg", "/first.jpg", "a/../b.jpg", "a/./b.jpg", "..", "last/", "tab\t.jpg"}
    assert {key for key in KEYS if needs_signed_get(key)} == odd


@pytest.mark.parametrize("token", ["", "session"])
@pytest.mark.parametrize("key", ["a//b%20c.jpg", "a/../b.jpg"])
def test_our_signature_is_botocores(token: str, key: str) -> None:
    credentials = BotocoreCredentials("AKID", "secret", token or None)
    request = AWSRequest("GET", f"https://s3.eu-west-1.amazonaws.com/bucket/{key}")
    signer = S3SigV4Auth(credentials, "s3", "eu-west-1")
    signer.add_auth(request)
    now = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = signature_headers(
        "s3.eu-west-1.amazonaws.com", f"/bucket/{key}", "eu-west-1", Credentials("AKID", "secret", token), now
    )
    assert ours["Authorization"] == request.headers["Authorization"]

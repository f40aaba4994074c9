"""The S3 server of the local run, as boto3 sees it."""

import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from verger.storage.conditional_writes import change_json, delete_unchanged
from verger.storage.json_objects import read_stored
from verger.storage.layout import BucketLayout
from verger.sync.folder import FolderSource
from verger.sync.other_bucket import BucketSource
from verger.sync.pictures import UnreadableError
from verger.sync.stored import put_picture
from verger.sync.synchronize import synchronize
from verger_rules.addresses import S3Address

from tools.local_run import s3_server
from tools.local_run.processes import ServerError
from tools.local_run.s3_server import S3Endpoint, S3Settings
from tools.review.changes import Change
from tools.review.outcomes import State, Work
from tools.review.pictures import Pictures

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROJECT = Path(__file__).resolve().parents[2]
JARS = PROJECT / ".cache" / "jars" / "s3proxy"
BUCKET = "fruits"
HOSTILE_KEYS = [
    "images/Apple Braeburn/0 1.jpg",
    "images/Pêche Plate/é.jpg",
    "images/Kaki+/a+b.jpg",
    "images/100% Orange/x%20y.jpg",
    "images/a#b/=c.jpg",
    "images/q?/&;,@:!$'()*.jpg",
    "images/日本/柿🍅.jpg",
    "images/e\u0301 (decomposed).jpg",
    'images/"<>\\|.jpg',
    "images/.hidden",
    "images/ends with a space ",
    f"images/{'n' * s3_server.LONGEST_NAME}",
]

pytestmark = pytest.mark.skipif(
    not (JARS / ".ready").exists(), reason="the S3 server's jars are not there: make .cache/jars/s3proxy/.ready"
)


def _client(endpoint: S3Endpoint) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=endpoint.url,
        region_name="eu-west-1",
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def _settings(folder: Path) -> S3Settings:
    return S3Settings(folder / "data", folder / "work", folder / "log.txt", JARS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, S3Endpoint]]:
    """A server started in an ASCII locale, on a folder whose own name has a space and an accent."""
    folder = tmp_path_factory.mktemp("dépôt s3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LC_ALL", "C")
        patch.setenv("LANG", "C")
        with s3_server.running(_settings(folder)) as endpoint:
            _client(endpoint).create_bucket(
                Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
            yield folder, endpoint


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_a_key_is_stored_listed_and_read_as_exactly_itself(server: tuple[Path, S3Endpoint], key: str) -> None:
    s3, body = _client(server[1]), key.encode() * 3
    etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    assert s3.put_object(Bucket=BUCKET, Key=key, Body=body, Metadata={"a": "b"})["ETag"] == etag
    found = s3.get_object(Bucket=BUCKET, Key=key)
    assert (found["Body"].read(), found["ETag"], found["Metadata"]) == (body, etag, {"a": "b"})
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]
    assert [(entry["Key"], entry["ETag"]) for entry in listed] == [(key, etag)]
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key}]})
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["KeyCount"] == 0


def test_a_listing_over_several_pages_names_each_key_once(server: tuple[Path, S3Endpoint]) -> None:
    s3 = _client(server[1])
    keys = [f"pages/{label}/{number}.jpg" for label in ("a", "a b", "b+") for number in range(4)]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="pages/", PaginationConfig={"PageSize": 5}
    )
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == sorted(keys)


def test_a_wrong_key_is_refused(server: tuple[Path, S3Endpoint]) -> None:
    wrong = S3Endpoint(server[1].url, server[1].access_key, "wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        _client(wrong).list_buckets()


def test_only_this_user_may_read_the_servers_credentials(server: tuple[Path, S3Endpoint]) -> None:
    properties = server[0] / "work" / "s3proxy.properties"
    assert server[1].secret_key in properties.read_text()
    assert properties.stat().st_mode & 0o077 == 0


def test_objects_are_there_after_a_restart_and_the_credentials_are_new(tmp_path: Path) -> None:
    with s3_server.running(_settings(tmp_path)) as first:
        s3 = _client(first)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        etag = s3.put_object(Bucket=BUCKET, Key="a b/é.txt", Body=b"kept", Metadata={"a": "b"})["ETag"]
    assert not (tmp_path / "work" / "s3proxy.properties").exists()
    with s3_server.running(_settings(tmp_path)) as second:
        found = _client(second).get_object(Bucket=BUCKET, Key="a b/é.txt")
        assert (found["Body"].read(), found["ETag"], found["Metadata"]) == (b"kept", etag, {"a": "b"})
    assert first.secret_key != second.secret_key


def test_a_server_that_cannot_start_says_why_and_where_its_log_is(tmp_path: Path) -> None:
    settings = S3Settings(tmp_path / "data", tmp_path / "work", tmp_path / "log.txt", tmp_path / "no jars")
    with (
        pytest.raises(ServerError, match=r"the S3 server ended .*log\.txt"),
        s3_server.running(settings),
    ):
        pass


def test_the_data_folder_survives_a_properties_file() -> None:
    """A .properties file is read as ISO 8859-1, with backslash escapes."""
    text = s3_server.server_properties(_settings(Path("/dépôt s3\\柿🍅")), "a", "b")
    line = next(line for line in text.splitlines() if line.startswith("jclouds.filesystem.basedir="))
    assert line == r"jclouds.filesystem.basedir=/d\u00e9p\u00f4t s3\\\u67ff\ud83c\udf45/data"


def test_no_server_outlives_a_killed_starter(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, time\n"
        "from tools.local_run import s3_server\n"
        f"folder, jars = pathlib.Path({str(tmp_path)!r}), pathlib.Path({str(JARS)!r})\n"
        "settings = s3_server.S3Settings(folder / 'data', folder / 'work', folder / 'log.txt', jars)\n"
        "with s3_server.running(settings) as endpoint:\n"
        "    print(endpoint.url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=PROJECT) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        starter.kill()
    _wait_until_closed(url)


def _wait_until_closed(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.1)
    pytest.fail(f"{url} still answers")


def test_a_sync_copies_to_it_what_changed_and_nothing_that_changes_meanwhile(
    server: tuple[Path, S3Endpoint], tmp_path: Path
) -> None:
    """The server compares what comes with its MD5, and looks at the conditions of a copy, as S3 does."""
    s3 = _client(server[1])
    s3.create_bucket(Bucket="synced", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    layout = BucketLayout("synced")
    (tmp_path / "Pêche 1").mkdir()
    (tmp_path / "Pêche 1" / "a b.jpg").write_bytes(b"one")
    for expected in ((1, 0), (0, 1)):
        done = synchronize(s3, layout, FolderSource(tmp_path, "images/"))
        assert (len(done.copy), done.unchanged) == expected
    s3.put_object(Bucket=BUCKET, Key="in/Pêche 1/a b.jpg", Body=b"ONE")
    for expected in ((1, 0), (0, 1)):
        done = synchronize(s3, layout, BucketSource(s3, S3Address(BUCKET, "in/"), layout))
        assert (len(done.copy), done.unchanged) == expected
    assert s3.head_object(Bucket="synced", Key="images/Pêche 1/a b.jpg")["Metadata"].keys() == {"verger-content"}

    with pytest.raises(UnreadableError, match="it changed while it was read"):
        put_picture(s3, "synced", "images/2.jpg", b"other bytes", hashlib.md5(b"x", usedforsecurity=False).hexdigest())
    source = BucketSource(s3, S3Address(BUCKET, "in/"), layout)
    ((picture,), _) = source.pictures()
    s3.put_object(Bucket=BUCKET, Key="in/Pêche 1/a b.jpg", Body=b"TWO")
    with pytest.raises(UnreadableError, match="it changed since it was listed"):
        source.copy(picture, s3, "synced")


def test_it_keeps_the_conditions_of_claims_and_of_the_pointer(server: tuple[Path, S3Endpoint]) -> None:
    s3 = _client(server[1])
    place = S3Address(BUCKET, "results/counted.json")

    def beaten(there: dict[str, Any] | None) -> dict[str, Any]:
        count = (there or {"count": 0})["count"]
        if count in {0, 2}:  # another writer was faster, where nothing was and where something was
            change_json(s3, place, lambda _: {"count": count + 1})
        return {"count": count + 1}

    for _ in range(2):
        change_json(s3, place, beaten)
    stored = read_stored(s3, place)
    assert stored
    assert stored.content == {"count": 4}
    assert not delete_unchanged(s3, place, '"another"')
    assert delete_unchanged(s3, place, stored.etag)
    assert read_stored(s3, place) is None


def test_a_review_moves_pictures_on_it_and_overwrites_none(server: tuple[Path, S3Endpoint]) -> None:
    s3 = _client(server[1])
    pictures = Pictures(s3, BUCKET)
    for label, body in (("Kaki+", b"one"), ("Pêche", b"one"), ("Plum", b"two")):
        s3.put_object(
            Bucket=BUCKET, Key=f"reviewed/{label}/1.jpg", Body=body, ContentType="image/jpeg", Metadata={"a": "b"}
        )
    work = Work(pictures, datetime.now(UTC) + timedelta(minutes=1), apply=True)

    def move(label: str, to: str) -> State:
        return work.outcome(Change(2, f"reviewed/{label}/1.jpg", target=f"reviewed/{to}/1.jpg")).state

    assert move("Kaki+", "Plum") is State.REFUSED
    assert move("Kaki+", "Kiwi 1") is State.MOVED
    head = s3.head_object(Bucket=BUCKET, Key="reviewed/Kiwi 1/1.jpg")
    assert (head["ContentType"], head["Metadata"]) == ("image/jpeg", {"a": "b"})
    assert move("Kaki+", "Kiwi 1") is State.GONE
    assert move("Pêche", "Kiwi 1") is State.MOVED, "the same bytes are there already"
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix="reviewed/")["Contents"]
    assert [entry["Key"] for entry in found] == ["reviewed/Kiwi 1/1.jpg", "reviewed/Plum/1.jpg"]

    seen = pictures.look("reviewed/Plum/1.jpg")
    assert seen
    s3.put_object(Bucket=BUCKET, Key=seen.key, Body=b"three")
    pictures.copy(seen, "reviewed/Fig/1.jpg")
    assert pictures.look("reviewed/Fig/1.jpg") is None, "it is not the picture that was looked at"
    assert not pictures.delete(seen)

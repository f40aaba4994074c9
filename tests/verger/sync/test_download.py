"""Fetching a zip from a server that breaks off, lies and changes its mind."""

import hashlib
import http.client
import json
import tempfile
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client
from verger.storage.layout import BucketLayout
from verger.sync import download
from verger.sync.download import Download, DownloadError, private_file, sha256_of
from verger.sync.pictures import SourceError
from verger.sync.source_address import check_source, shown_source
from verger.sync.source_connection import resolve

CONTENT = b"PK" + bytes(range(256)) * 1000


class Server(ThreadingHTTPServer):
    """Serves CONTENT; can be told to misbehave."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.etag = '"1"'
        self.ranges = True
        self.break_after: list[int] = []
        self.status = 200
        self.busy: list[int] = []
        self.skip = 0
        self.redirect = ""
        self.asked: list[str] = []
        self.authorized: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        there = self.server
        there.asked.append(self.headers.get("Range", ""))
        there.authorized.append(self.headers.get("Authorization", ""))
        if there.redirect or there.status != 200 or there.busy:
            self.send_response(302 if there.redirect else there.busy.pop() if there.busy else there.status)
            if there.redirect:
                self.send_header("Location", there.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = 0
        wanted = self.headers.get("Range", "")
        if wanted and there.ranges and self.headers.get("If-Range", there.etag) == there.etag:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
        if start and start >= len(there.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(there.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = there.content[start:]
        if start and there.skip:
            start, there.skip = start + there.skip, 0
            body = there.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(there.content) - 1}/{len(there.content)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", there.etag)
        self.end_headers()
        cut = there.break_after.pop(0) if there.break_after else len(body)
        self.wfile.write(body[:cut])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose addresses count as https."""
    made = Server()
    thread = Thread(target=made.serve_forever, daemon=True)
    thread.start()

    class Plain(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(http.client.HTTPConnection, req)

    handlers = download._handlers
    monkeypatch.setattr(download, "_handlers", lambda schemes: [Plain(), *handlers(schemes)])
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def address(server: Server, path: str = "/fruits.zip") -> str:
    return f"https://127.0.0.1:{server.server_port}{path}"


def at(server: Server, folder: Path, path: str = "/fruits.zip") -> Download:
    return Download(address(server, path), folder / "f.zip", first_pause=0)


def fetch(server: Server, folder: Path) -> bytes:
    return at(server, folder).fetch().read_bytes()


def test_a_connection_that_breaks_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.break_after = [1000, 70_000]
    assert fetch(server, tmp_path) == CONTENT
    assert server.asked == ["", "bytes=1000-", "bytes=71000-"]


def test_a_server_that_knows_no_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.break_after = False, [1000]
    assert fetch(server, tmp_path) == CONTENT


def test_a_task_that_died_goes_on_and_parts_of_two_versions_are_never_joined(server: Server, tmp_path: Path) -> None:
    server.break_after = [1000] * 8
    with pytest.raises(DownloadError, match="Run again"):
        fetch(server, tmp_path)
    server.content, server.etag, server.break_after = b"PK another" * 5000, '"2"', []
    assert fetch(server, tmp_path) == server.content


def test_what_is_there_whole_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    assert fetch(server, tmp_path) == CONTENT
    assert server.asked == ["", f"bytes={len(CONTENT)}-"]


def test_more_than_there_is_belongs_to_another_file(server: Server, tmp_path: Path) -> None:
    fetch(server, tmp_path)
    server.content = CONTENT[:5000]  # with the same ETag: a server that is not to be trusted
    assert fetch(server, tmp_path) == CONTENT[:5000]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_server_that_refuses_is_one_clear_error(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=f"the server answers {status}"):
        fetch(server, tmp_path)
    with pytest.raises(DownloadError, match=str(status)):
        at(server, tmp_path).check()


def test_a_redirect_may_lead_to_https_only(server: Server, tmp_path: Path) -> None:
    for elsewhere in ("http://127.0.0.1/latest/meta-data/", "file:///etc/passwd"):
        server.redirect = elsewhere
        with pytest.raises(DownloadError, match=r"only https addresses are fetched|is not allowed"):
            fetch(server, tmp_path)


def test_a_page_that_is_no_zip_is_found_out_with_a_few_bytes(server: Server, tmp_path: Path) -> None:
    at(server, tmp_path).check()
    server.content = b"<html>"
    with pytest.raises(DownloadError, match="no zip file at this address"):
        at(server, tmp_path).check()


def test_a_file_that_does_not_fit_the_disk_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_RESERVE_BYTES", 1 << 60)
    with pytest.raises(DownloadError, match="do not fit the disk"):
        fetch(server, tmp_path)


def test_a_token_in_an_address_stands_in_no_message(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(DownloadError) as raised:
        at(server, tmp_path, "/a.zip?token=secret").fetch()
    assert "secret" not in str(raised.value)


def test_a_token_in_an_address_stands_in_no_file(server: Server, tmp_path: Path) -> None:
    server.break_after = [1000] * 8
    with pytest.raises(DownloadError):
        at(server, tmp_path, "/a.zip?token=secret").fetch()
    assert {path.name for path in tmp_path.iterdir()} == {"f.zip.part", "f.zip.part.json"}
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.iterdir())


def test_what_came_of_another_address_is_not_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.break_after = [1000] * 8
    with pytest.raises(DownloadError):
        fetch(server, tmp_path)
    at(server, tmp_path, "/another.zip").fetch()
    assert server.asked[-1] == ""


def test_a_server_without_a_strong_etag_is_asked_for_everything_again(server: Server, tmp_path: Path) -> None:
    server.etag, server.break_after = 'W/"1"', [1000]
    assert fetch(server, tmp_path) == CONTENT
    assert server.asked == ["", ""]


def test_a_part_that_begins_elsewhere_than_asked_for_is_not_joined(server: Server, tmp_path: Path) -> None:
    server.break_after, server.skip = [1000], 7
    assert fetch(server, tmp_path) == CONTENT


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.busy = [503, 429, 408]
    assert fetch(server, tmp_path) == CONTENT


def test_a_file_that_is_settled_has_nothing_beside_it_and_one_that_is_forgotten_is_gone(
    server: Server, tmp_path: Path
) -> None:
    wanted = at(server, tmp_path)
    assert sha256_of(wanted.fetch()) == hashlib.sha256(CONTENT).hexdigest()
    wanted.settle()
    assert [path.name for path in tmp_path.iterdir()] == ["f.zip"]
    wanted.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", ["https://[::1/a.zip", "https://h:port/a.zip", "https:///a.zip", "https:"])
def test_what_is_not_an_address_is_one_clear_error(broken: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError):
        Download(broken, tmp_path / "f.zip")


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    file = private_file("https://h.example/a.zip", ".zip")
    assert file != private_file("https://h.example/b.zip", ".zip")
    file.parent.chmod(0o777)
    with pytest.raises(DownloadError, match="not this user's alone"):
        private_file("https://h.example/a.zip", ".zip")


@pytest.mark.parametrize("path", ["/my pictures.zip", "/pictures\x00.zip", "/\u00e9t\u00e9.zip", "/a\nb.zip"])
def test_an_address_that_urllib_would_refuse_is_one_clear_error_without_its_token(path: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="percent-encoded") as refused:
        Download(f"https://h.example{path}?sig=sesame", tmp_path / "f.zip")
    assert "sesame" not in str(refused.value)


def test_a_password_is_sent_to_the_host_it_is_for_and_not_to_where_that_leads(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "http", "host": address(server, ""), "login": "anna", "password": "sesame"}
    monkeypatch.setenv("AIRFLOW_CONN_FRUITS", json.dumps(connection))
    found = resolve("connection://fruits/2026/fruits.zip")
    assert found.address == address(server, "/2026/fruits.zip")
    first = Download(found.address, tmp_path / "a.zip", authorization=found.authorization)
    assert first.fetch().read_bytes() == CONTENT
    assert server.authorized == ["Basic YW5uYTpzZXNhbWU="]
    server.authorized.clear()
    server.redirect = address(server, "/elsewhere.zip")
    second = Download(f"{found.address}x", tmp_path / "b.zip", authorization=found.authorization)
    with pytest.raises(DownloadError):
        second.fetch()
    assert server.authorized[:2] == ["Basic YW5uYTpzZXNhbWU=", ""]


@pytest.mark.parametrize(
    ("connection", "path", "expected"),
    [
        ({"host": "https://h.example/a.zip", "password": "sig=1"}, "", "https://h.example/a.zip?sig=1"),
        ({"host": "https://h.example/a.zip", "password": "?sig=1"}, "", "https://h.example/a.zip?sig=1"),
        ({"host": "h.example", "schema": "https", "port": 8443}, "/x/a.zip", "https://h.example:8443/x/a.zip"),
        ({"host": "h.example"}, "/a.zip", "https://h.example/a.zip"),
        ({"host": "https://h.example/base/"}, "/a.zip", "https://h.example/base/a.zip"),
    ],
)
def test_a_connection_of_airflow_s_is_an_address(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], path: str, expected: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FRUITS", json.dumps({"conn_type": "http", **connection}))
    source = f"connection://fruits{path}"
    assert resolve(source).address == expected
    assert shown_source(source) == source


@pytest.mark.parametrize("host", ["", "http://h.example/"])
def test_a_connection_that_leads_to_no_https_address_is_one_clear_error_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, s3: S3Client, bucket: str, host: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FRUITS", json.dumps({"conn_type": "http", "host": host, "password": "t=sesame"}))
    with pytest.raises(SourceError, match=r"no host|only https addresses") as refused:
        check_source("connection://fruits", s3, BucketLayout(bucket))
    assert "sesame" not in str(refused.value)


def test_a_connection_that_is_not_there_is_named(s3: S3Client, bucket: str) -> None:
    with pytest.raises(SourceError, match="Airflow has no connection 'nowhere'"):
        check_source("connection://nowhere/a.zip", s3, BucketLayout(bucket))

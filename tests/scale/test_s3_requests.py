"""Counting requests: what a client sends, as S3's price list sorts it."""

import http.client
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import pytest
from botocore.config import Config

from tools.local_run import processes
from tools.scale.s3_requests import KINDS, Counted, count, is_picture, kind_of, summary


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("GET /bucket?list-type=2&prefix=a%2F", "LIST"),
        ("GET /bucket/?prefix=a", "LIST"),
        ("GET /bucket/a/prefix.parquet", "GET"),
        ("HEAD /bucket/a", "HEAD"),
        ("PUT /bucket/a?partNumber=1&uploadId=2", "PUT"),
        ("POST /bucket/a?uploads", "PUT"),
        ("POST /bucket?delete", "DELETE"),
        ("DELETE /bucket/a", "DELETE"),
    ],
)
def test_each_request_has_the_kind_that_it_is_charged_for(line: str, kind: str) -> None:
    assert kind_of(line) == kind


def test_pictures_are_counted_apart() -> None:
    lines = ["GET /verger-bench/small/first/Apple/1.jpg", "GET /verger-bench/runs/many/manifest.parquet"]
    assert [is_picture(line) for line in lines] == [True, False]
    assert count(lines) == Counted(1, {"LIST": 0, "PUT": 0, "GET": 1, "HEAD": 0, "DELETE": 0})


def test_what_a_chunk_costs_is_what_more_of_them_add() -> None:
    few, many = (Counted(pictures, dict.fromkeys(KINDS, 10)) for pictures in (120, 240))
    chunked = Counted(240, dict.fromkeys(KINDS, 40))
    names = ("again_many", "again_chunked", "pca_many", "pca_chunked")
    found = summary({"few": few, "many": many, "chunked": chunked, **dict.fromkeys(names, many)})
    assert found["get_a_picture"] == 1
    assert found["featurize_a_chunk"] == dict.fromkeys(KINDS, 10.0)
    assert found["other_requests_a_further_picture"] == dict.fromkeys(KINDS, 0.0)
    assert found["pca_a_chunk"] == dict.fromkeys(KINDS, 0.0)


def test_the_proxy_writes_down_each_request_and_passes_it_on(
    project: Path, tmp_path: Path, s3_endpoint: str, bucket: str
) -> None:
    log = tmp_path / "requests.log"
    command = [sys.executable, "-m", "tools.scale.counting_proxy", "--to", s3_endpoint.rpartition("/")[2]]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project)}
    proxy = processes.start("the proxy", [*command, "--log", str(log)], environment, tmp_path / "proxy.log")
    try:
        port = proxy.wait_until(lambda words: words.partition("listening on ")[2].strip() or None, 120)
        s3 = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="eu-west-1", config=Config(proxies={})
        )
        content = os.urandom(300_000)
        for number in range(5):
            s3.put_object(Bucket=bucket, Key=f"a/{number}", Body=content)
        assert s3.get_object(Bucket=bucket, Key="a/3")["Body"].read() == content
        assert s3.list_objects_v2(Bucket=bucket, Prefix="a/")["KeyCount"] == 5
    finally:
        proxy.stop()
    assert count(log.read_text().splitlines()).others == {"LIST": 1, "PUT": 5, "GET": 1, "HEAD": 0, "DELETE": 0}


def test_a_request_is_counted_once_whatever_its_body_holds(project: Path, tmp_path: Path) -> None:
    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "tools.scale.counting_proxy", "--to", f"127.0.0.1:{server.server_port}"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project)}
    log = tmp_path / "requests.log"
    proxy = processes.start("the proxy", [*command, "--log", str(log)], environment, tmp_path / "proxy.log")
    try:
        port = proxy.wait_until(lambda words: words.partition("listening on ")[2].strip() or None, 120)
        body = b"x" * 65_000 + b"\r\nGET /trick HTTP/1.1\r\n" * 4
        client = http.client.HTTPConnection("127.0.0.1", int(port))
        client.request("PUT", "/bucket/key", body)
        assert client.getresponse().status == 200
        client.close()
    finally:
        proxy.stop()
        server.shutdown()
        server.server_close()
    assert log.read_text() == "PUT /bucket/key\n"

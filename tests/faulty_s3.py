"""A proxy in front of an S3 server that can lose answers and refuse writes, as real ones were seen to."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}
CONFLICT = b"<Error><Code>ConditionalRequestConflict</Code><Message>A conflicting operation occurred.</Message></Error>"
UNAVAILABLE = b"<Error><Code>ServiceUnavailable</Code><Message>The storage is read-only.</Message></Error>"


@dataclass
class Faults:
    """What the proxy does with the next requests.

    Attributes:
        store_and_drop: so many PUTs are stored, and the connection is closed without an answer.
        drop: so many PUTs are not stored, and the connection is closed.
        conflict: so many PUTs are answered 409 and not stored.
        before_conflict: called before each of these, as another writer would act then.
        read_only: while it is set, everything but reading is answered 503.
        asked: method and path of every request.
        refused: how many were refused.
    """

    store_and_drop: int = 0
    drop: int = 0
    conflict: int = 0
    before_conflict: Callable[[], None] = lambda: None
    read_only: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    refused: int = 0


class _Server(ThreadingHTTPServer):
    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _Proxy)
        self.faults = Faults()
        self.behind = urlsplit(endpoint).netloc
        self.lock = threading.Lock()


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        faults = self.server.faults
        with self.server.lock:
            faults.asked.append(f"{self.command} {self.path}")
            fate = self._fate(faults)
        if fate == "conflict":
            faults.before_conflict()
            self._answer(409, [("Content-Type", "application/xml")], CONFLICT)
        elif fate == "read_only":
            self._answer(503, [("Content-Type", "application/xml")], UNAVAILABLE)
        elif fate == "drop":
            self.close_connection = True
        else:
            answer = self._pass_on(body)
            if fate == "store_and_drop":
                self.close_connection = True
            else:
                self._answer(*answer)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - the names that the class calls

    def _fate(self, faults: Faults) -> str:
        if faults.read_only.is_set() and self.command not in {"GET", "HEAD"}:
            faults.refused += 1
            return "read_only"
        for name in ("store_and_drop", "drop", "conflict") if self.command == "PUT" else ():
            if getattr(faults, name):
                setattr(faults, name, getattr(faults, name) - 1)
                return name
        return ""

    def _pass_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {*_HOP_BY_HOP, "expect"}:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        of_head = next((value for name, value in headers if name.lower() == "content-length"), "0")
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {*_HOP_BY_HOP, "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", of_head if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the class's name for it
        """Say nothing."""


@contextmanager
def faulty_s3(endpoint: str) -> Iterator[tuple[str, Faults]]:
    """A proxy in front of an endpoint; its own address, and its faults."""
    server = _Server(endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.faults
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""A server of one file, as data sets are fetched from."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT = bytes(range(256)) * 4_000


@dataclass
class Library:
    """A server of one file, and how often it was asked.

    Attributes:
        chunked: whether it packs the file while it sends it, as GitHub does: nobody knows the length.
        broken: how many times it breaks off before the last piece.
    """

    content: bytes = CONTENT
    chunked: bool = False
    broken: int = 0
    asked: int = 0
    url: str = ""


@contextmanager
def serving() -> Iterator[Library]:
    """A server on this machine; tests/verger/sync/test_download.py has those that misbehave otherwise."""
    told = Library()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told.asked += 1
            self.send_response(200)
            self.send_header("Connection", "close")
            if told.chunked:
                self.send_in_pieces()
                return
            self.send_header("Content-Length", str(len(told.content)))
            self.end_headers()
            self.wfile.write(told.content)

        def send_in_pieces(self) -> None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            half = len(told.content) // 2
            for piece in (told.content[:half], told.content[half:], b""):
                if piece == b"" and told.broken:
                    told.broken -= 1
                    return
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/fruits.zip"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()

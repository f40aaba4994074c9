"""A bucket that lists images which do not exist, as a server: what obstore and boto3 ask over a socket.

    with serving(1_000_000) as address: ...

A process of its own, so that making the pages takes another core's time than reading them.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tools.scale.synthetic import BUCKET, LABELS, PREFIX, SIZE, etag_of, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 1000
_HEAD = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'


def labels_page(images: int) -> bytes:
    """The answer to a request with a delimiter: a prefix for each label."""
    folders = (key_of(number).rpartition("/")[0] for number in range(min(images, LABELS)))
    found = "".join(f"<CommonPrefixes><Prefix>{folder}/</Prefix></CommonPrefixes>" for folder in folders)
    return f"{_HEAD}<Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode()


def label_page(prefix: str, first: int, images: int) -> bytes:
    """The images of a label from its image `first` on, up to 1,000."""
    label = int(prefix.rstrip("/").rpartition(" ")[2])
    numbers = range(label + first * LABELS, images, LABELS)
    entries = "".join(
        f"<Contents><Key>{key_of(number)}</Key><LastModified>2026-11-21T12:00:00.000Z</LastModified>"
        f"<ETag>&quot;{etag_of(number)}&quot;</ETag><Size>{SIZE}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for number in numbers[:PAGE]
    )
    more = len(numbers) > PAGE
    token = f"<NextContinuationToken>{first + PAGE}</NextContinuationToken>" if more else ""
    return (
        f"{_HEAD}<Name>{BUCKET}</Name><KeyCount>{len(numbers[:PAGE])}</KeyCount>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
    ).encode()


class _Bucket(ThreadingHTTPServer):
    images = 0
    requests = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Bucket

    def do_GET(self) -> None:
        """Answer ListObjectsV2, and `/requests` with how often that was."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if self.path == "/requests":
            body = str(self.server.requests).encode()
        else:
            self.server.requests += 1
            token = int(query.get("continuation-token", "0"))
            prefix = query.get("prefix", "")
            body = (
                labels_page(self.server.images)
                if prefix.rstrip("/") == PREFIX.rstrip("/")
                else label_page(prefix, token, self.server.images)
            )
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(images: int) -> Iterator[str]:
    """Runs the server on this machine for as long as the context is open; gives its address."""
    command = [sys.executable, "-m", "tools.scale.listing_server", str(images)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None:
            raise TypeError("a pipe was asked for")
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main() -> None:
    """The program."""
    with _Bucket(("127.0.0.1", 0), _Handler) as server:
        server.images = int(sys.argv[1])
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

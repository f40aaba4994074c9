"""A proxy in front of an S3 server that writes down each request: its method and its address, a line each.

`python -m tools.scale.counting_proxy --to 127.0.0.1:1234 --log FILE` prints `listening on <port>`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
from pathlib import Path
from typing import TextIO

READ_BYTES = 1 << 16
# A client asks again only after it had its answer, so that a request begins where a piece of what it sends begins.
REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")


async def forward(source: asyncio.StreamReader, target: asyncio.StreamWriter, log: TextIO | None) -> None:
    """Pass on what comes; with a log, note each request that begins."""
    while content := await source.read(READ_BYTES):
        if log is not None and (request := REQUEST.match(content)):
            log.write(f"{request.group(1).decode()} {request.group(2).decode()}\n")
            log.flush()
        target.write(content)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()


async def serve(host: str, port: int, log: TextIO) -> None:
    """Proxy until the process ends."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(host, port)
        with contextlib.suppress(OSError):
            await asyncio.gather(forward(reader, upstream_writer, log), forward(upstream_reader, writer, None))
        for stream in (writer, upstream_writer):
            stream.close()

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--log", required=True, type=Path, metavar="FILE")
    asked = parser.parse_args()
    host, _, port = asked.to.rpartition(":")
    with asked.log.open("a", encoding="utf-8") as log:
        asyncio.run(serve(host, int(port), log))


if __name__ == "__main__":
    main()

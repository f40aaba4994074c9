"""A TCP proxy that makes each answer of an HTTP server wait, as a store across a network does.

`python -m tools.benchmarks.slow_proxy --to 127.0.0.1:1234 --milliseconds 30` prints `listening on <port>`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from dataclasses import dataclass

READ_BYTES = 1 << 16


@dataclass
class Connection:
    """Whether the client has sent something that the server has not begun to answer."""

    asked: bool = False


async def forward_requests(source: asyncio.StreamReader, target: asyncio.StreamWriter, state: Connection) -> None:
    """Pass on what the client sends."""
    while content := await source.read(READ_BYTES):
        state.asked = True
        target.write(content)
        await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()


async def forward_answers(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, state: Connection, seconds: float
) -> None:
    """Pass on what the server sends; the first bytes after a request wait."""
    while content := await source.read(READ_BYTES):
        if state.asked:
            state.asked = False
            await asyncio.sleep(seconds)
        target.write(content)
        await target.drain()


async def serve(host: str, port: int, seconds: float) -> None:
    """Proxy until the process ends."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(host, port)
        state = Connection()
        with contextlib.suppress(OSError):
            await asyncio.gather(
                forward_requests(reader, upstream_writer, state),
                forward_answers(upstream_reader, writer, state, seconds),
            )
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
    parser.add_argument("--milliseconds", type=float, default=30.0)
    asked = parser.parse_args()
    host, _, port = asked.to.rpartition(":")
    asyncio.run(serve(host, int(port), asked.milliseconds / 1000))


if __name__ == "__main__":
    main()

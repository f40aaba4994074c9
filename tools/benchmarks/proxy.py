"""What the proxies in front of an S3 server have in common: they listen, and join two pairs of streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

READ_BYTES = 1 << 16

#: What passes bytes on in one direction until there are no more.
Forward = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def pieces(source: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """What comes, as it comes."""
    while content := await source.read(READ_BYTES):
        yield content


async def serve(address: str, new_connection: Callable[[], tuple[Forward, Forward]]) -> None:
    """Proxy `host:port` on a free port of 127.0.0.1, which is printed, until the process ends.

    For each connection `new_connection` gives what forwards the client's bytes and what forwards the server's.
    """
    host, _, port = address.rpartition(":")

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(host, int(port))
        forward_requests, forward_answers = new_connection()

        with contextlib.suppress(OSError):
            await asyncio.gather(
                _pass_on(forward_requests, reader, upstream_writer), _pass_on(forward_answers, upstream_reader, writer)
            )
        for stream in (writer, upstream_writer):
            stream.close()

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


async def _pass_on(forward: Forward, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    await forward(source, target)
    # Who closes the connection closes it for the other side, too.
    with contextlib.suppress(OSError):
        target.write_eof()

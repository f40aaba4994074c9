"""A TCP proxy that makes each answer of an HTTP server wait, as a store across a network does.

`python -m tools.benchmarks.slow_proxy --to 127.0.0.1:1234 --milliseconds 30` prints `listening on <port>`.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass

from tools.benchmarks import proxy


@dataclass
class Connection:
    """A connection, and whether its client has sent something that the server has not begun to answer."""

    seconds: float
    asked: bool = False

    async def forward_requests(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Pass on what the client sends."""
        async for content in proxy.pieces(source):
            self.asked = True
            target.write(content)
            await target.drain()

    async def forward_answers(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Pass on what the server sends; the first bytes after a request wait."""
        async for content in proxy.pieces(source):
            if self.asked:
                self.asked = False
                await asyncio.sleep(self.seconds)
            target.write(content)
            await target.drain()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--milliseconds", type=float, default=30.0)
    asked = parser.parse_args()

    def new_connection() -> tuple[proxy.Forward, proxy.Forward]:
        connection = Connection(asked.milliseconds / 1000)
        return connection.forward_requests, connection.forward_answers

    asyncio.run(proxy.serve(asked.to, new_connection))


if __name__ == "__main__":
    main()

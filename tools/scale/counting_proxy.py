"""A proxy in front of an S3 server that writes down each request: its method and its address, a line each.

`python -m tools.scale.counting_proxy --to 127.0.0.1:1234 --log FILE` prints `listening on <port>`.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path
from typing import TextIO

from tools.benchmarks import proxy

# A client asks again only after it had its answer, so that a request begins where a piece of what it sends begins.
REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")


async def forward(source: asyncio.StreamReader, target: asyncio.StreamWriter, log: TextIO | None = None) -> None:
    """Pass on what comes; with a log, note each request that begins."""
    async for content in proxy.pieces(source):
        if log is not None and (request := REQUEST.match(content)):
            log.write(f"{request.group(1).decode()} {request.group(2).decode()}\n")
            log.flush()
        target.write(content)
        await target.drain()


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--log", required=True, type=Path, metavar="FILE")
    asked = parser.parse_args()
    with asked.log.open("a", encoding="utf-8") as log:
        asyncio.run(proxy.serve(asked.to, lambda: (lambda source, target: forward(source, target, log), forward)))


if __name__ == "__main__":
    main()

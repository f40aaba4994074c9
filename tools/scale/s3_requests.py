"""How many requests the two steps make of S3, of each kind: counted between Spark and a real S3 server."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tools.benchmarks import bench_stack
from tools.benchmarks.bench_stack import BUCKET, LISTENING, READY_SECONDS, BenchStack
from tools.benchmarks.measurements import Bench
from tools.local_run import processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tools.benchmarks.pictures import Picture

#: Pictures of the counted runs: one chunk, twice as many in one chunk, and those in four chunks.
FEW = 120
MANY = 240
CHUNKS = 4
KINDS = ("LIST", "PUT", "GET", "HEAD", "DELETE")


def kind_of(line: str) -> str:
    """The kind of a request as S3's price list has it, of a line of the proxy's log."""
    method, address = line.split(" ", 1)
    if method == "GET" and re.search(r"[?&](list-type|prefix|delimiter)=", address):
        return "LIST"
    # Deleting several at once is a POST that S3 does not charge for.
    return "DELETE" if method == "POST" and "delete" in urlsplit(address).query else method.replace("POST", "PUT")


def is_picture(line: str) -> bool:
    """Whether a request reads a picture."""
    return line.startswith(f"GET /{BUCKET}/small/")


@dataclasses.dataclass(frozen=True)
class Counted:
    """Requests of one program: those for pictures, and the others by kind."""

    pictures: int
    others: dict[str, int]

    def per(self, fewer: Counted, units: float) -> dict[str, float]:
        """The other requests a unit more costs."""
        return {kind: (self.others[kind] - fewer.others[kind]) / units for kind in KINDS}


def count(lines: Sequence[str]) -> Counted:
    """Count the lines of a log."""
    kinds = Counter(kind_of(line) for line in lines if not is_picture(line))
    return Counted(sum(map(is_picture, lines)), {kind: kinds[kind] for kind in KINDS})


@contextlib.contextmanager
def counting(stack: BenchStack, log: Path) -> Iterator[BenchStack]:
    """The same stack, reached through the proxy that notes each request."""
    command = [sys.executable, "-m", "tools.scale.counting_proxy", "--to", stack.fast.rpartition("/")[2]]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(stack.project)}
    proxy = processes.start("the counting proxy", [*command, "--log", str(log)], environment, stack.logs / "count.log")
    try:
        port = proxy.wait_until(_port, READY_SECONDS)
        yield dataclasses.replace(stack, fast=f"http://127.0.0.1:{port}")
    finally:
        proxy.stop()


def _port(log: str) -> int | None:
    match = LISTENING.search(log)
    return int(match.group(1)) if match else None


def measure(stack: BenchStack, model: Path, pictures: Sequence[Picture], cores: int) -> dict[str, Any]:
    """Run the steps on few pictures, on more, in more chunks, and on a table that has them all; what each adds."""
    log = stack.work / "requests.log"
    log.touch()
    seen = 0
    found: dict[str, Counted] = {}

    def take(name: str) -> None:
        nonlocal seen
        lines = log.read_text("utf-8").splitlines()
        found[name], seen = count(lines[seen:]), len(lines)

    chunked = ("--chunk-images", str(MANY // CHUNKS))
    with counting(stack, log) as counted:
        bench = Bench(counted, model, cores, 1)
        for name, chosen, options in (
            ("few", pictures[:FEW], ()),
            ("many", pictures[:MANY], ()),
            ("chunked", pictures[:MANY], chunked),
        ):
            bench.featurize(name, chosen, cores=cores, options=options)
            take(name)
        # Again: all is done, so that only the table is read.
        for name in ("many", "chunked"):
            bench.featurize(name, pictures[:MANY], cores=cores)
            take(f"again_{name}")
        for name in ("many", "chunked"):
            bench.pca(name, 5)
            take(f"pca_{name}")
    return summary(found)


def summary(found: dict[str, Counted]) -> dict[str, Any]:
    """What one picture, one chunk and one run cost in requests."""
    more = CHUNKS - 1
    return {
        "pictures": {"few": FEW, "many": MANY, "chunks": CHUNKS},
        "counted": {name: dataclasses.asdict(one) for name, one in found.items()},
        "get_a_picture": found["many"].pictures / MANY,
        "other_requests_a_further_picture": found["many"].per(found["few"], MANY - FEW),
        "featurize_a_chunk": found["chunked"].per(found["many"], more),
        "featurize_a_run": found["many"].others,
        "read_table_a_chunk": found["again_chunked"].per(found["again_many"], more),
        "pca_a_chunk": found["pca_chunked"].per(found["pca_many"], more),
        "pca_a_run": found["pca_many"].others,
    }


def running(project: Path, work: Path) -> contextlib.AbstractContextManager[BenchStack]:
    """The S3 server and Spark that the steps are counted on."""
    return bench_stack.running(project, work)

"""What the workers measure, and how it is added up on the driver."""

import functools
import operator
import os
import socket
from dataclasses import asdict, dataclass

from spark_jobs.worker.fetch import FetchedImage

# YARN's name of the node that a container runs on (Hadoop: ApplicationConstants.Environment.NM_HOST).
_YARN_HOST = "NM_HOST"

Totals = dict[str, float]
TotalsByHost = dict[str, Totals]


@dataclass
class WorkerTimes:
    """Where the time of one partition went.

    Attributes:
        images, rejected: rows answered, and how many of them are rejects.
        retries: reads tried again.
        bytes: read from the store.
        fetch: seconds the reads took, added over the concurrent reads.
        wait: seconds the model stood still because no image was there yet.
        decode, infer: seconds.
        partition: seconds from the first image asked for to the last row.
        write: seconds of storing the partition's rows.
        peak_mib: the most memory that the worker has held so far; of several workers, the most that one of them held.
    """

    images: int = 0
    rejected: int = 0
    retries: int = 0
    bytes: int = 0
    fetch: float = 0.0
    wait: float = 0.0
    decode: float = 0.0
    infer: float = 0.0
    partition: float = 0.0
    write: float = 0.0
    peak_mib: float = 0.0

    def count_fetch(self, image: FetchedImage, waited: float) -> None:
        """Add one read."""
        self.retries += image.retries
        self.bytes += len(image.content or b"")
        self.fetch += image.seconds
        self.wait += waited

    def totals(self) -> Totals:
        """The figures by name."""
        return asdict(self)


def add_by_host(first: TotalsByHost, second: TotalsByHost) -> TotalsByHost:
    """Two sets of figures, host by host."""
    return {host: add(first.get(host, {}), second.get(host, {})) for host in first.keys() | second.keys()}


def add(first: Totals, second: Totals) -> Totals:
    """Two sets of figures, name by name: sums, but for peaks."""
    return {
        name: (max if name == "peak_mib" else operator.add)(first.get(name, 0), second.get(name, 0))
        for name in first.keys() | second.keys()
    }


def worker_host() -> str:
    """The node that this process works on, as YARN calls it, else as the machine calls itself."""
    return os.environ.get(_YARN_HOST) or socket.gethostname()


def over_hosts(totals: TotalsByHost) -> Totals:
    """The figures of all hosts together."""
    return functools.reduce(add, totals.values(), {})

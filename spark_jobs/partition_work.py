"""What Spark ships to the executors for one chunk: the images, the model and how to work through a partition."""

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from spark_jobs.fetch import ImageItem
from spark_jobs.image_rows import WorkLimits, answer_images
from spark_jobs.infer import Broadcast, BroadcastModel, engine_of_worker
from spark_jobs.object_store import StoreSettings
from spark_jobs.telemetry import TotalsByHost, WorkerTimes

if TYPE_CHECKING:
    from pyspark.accumulators import Accumulator


@dataclass(frozen=True)
class PartitionWork:
    """The work of one chunk, by partition number.

    Attributes:
        images: broadcast Arrow IPC stream of the chunk's manifest rows.
        bounds: partition n holds the rows from bounds[n] to bounds[n + 1].
        totals: gets each partition's telemetry when the partition is done.
    """

    images: Broadcast
    bounds: tuple[int, ...]
    settings: StoreSettings
    limits: WorkLimits
    model: BroadcastModel
    totals: "Accumulator[TotalsByHost]"

    def function(self) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
        """The function for `mapInArrow` over a column of partition numbers."""

        def work(numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in numbers:
                for number in batch.column(0).to_pylist():
                    yield from self.rows_of(number)

        return work

    def rows_of(self, partition: int) -> Iterator[pa.RecordBatch]:
        """Rows of schema ANSWER for one partition's images."""
        started = time.perf_counter()
        times = WorkerTimes()
        start, stop = self.bounds[partition], self.bounds[partition + 1]
        items = items_of(from_ipc(self.images.value).slice(start, stop - start))
        for rows in answer_images(items, self.settings, self.limits, engine_of_worker(self.model), times):
            times.images += rows.num_rows
            times.rejected += rows.num_rows - rows.column("stage").null_count
            yield rows
        times.partition = time.perf_counter() - started
        self.totals.add({socket.gethostname(): times.totals()})


def items_of(images: pa.Table) -> Iterator[ImageItem]:
    """The rows of a manifest's table, one by one."""
    for row in images.to_pylist():
        yield ImageItem(row["path"], row["etag"], row["label"], row["size"])


def to_ipc(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def from_ipc(content: bytes) -> pa.Table:
    """A table from an Arrow IPC stream."""
    return pa.ipc.open_stream(content).read_all()

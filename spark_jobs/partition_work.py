"""What Spark ships to the executors for one chunk, and what a worker does with a partition: compute, store, tell."""

import resource
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from verger_rules.addresses import S3Address
from verger_rules.delta_table import TableFile
from verger_rules.layout import chunk_folder
from verger_rules.schemas import FEATURIZED, REJECTED, TABLE_FILE

from spark_jobs.fetch import ImageItem
from spark_jobs.image_rows import RowOrigin, WorkLimits, answer_images
from spark_jobs.infer import Broadcast, BroadcastModel, engine_of_worker
from spark_jobs.object_store import StoreSettings
from spark_jobs.table_file import write_table_file
from spark_jobs.telemetry import TotalsByHost, WorkerTimes, worker_host
from spark_jobs.worker_sign import WorkerSign

if TYPE_CHECKING:
    from pyspark.accumulators import Accumulator


@dataclass(frozen=True)
class PartitionWork:
    """The work of one chunk, by partition number.

    Attributes:
        images: broadcast Arrow IPC stream of the chunk's manifest rows.
        bounds: partition n holds the rows from bounds[n] to bounds[n + 1].
        table: the folder of the feature table.
        slug, chunk, computed_at: what names the files, and what the rows say of where they come from.
        signs: the folder in which workers show that they work.
        totals: gets each partition's telemetry when the partition is done.
    """

    images: Broadcast
    bounds: tuple[int, ...]
    settings: StoreSettings
    table: S3Address
    slug: str
    chunk: int
    computed_at: datetime
    signs: S3Address
    limits: WorkLimits
    model: BroadcastModel
    totals: "Accumulator[TotalsByHost]"

    def write(self, partition: int) -> list[TableFile]:
        """Answer a partition's images and store the rows: a file of features and one of rejects, if there are any.

        A worker holds the rows of one partition. Its files have names of their own in every try, so that a task that
        Spark runs twice, or a step that is not as dead as it seems, never writes over what the table's log names.
        """
        started = time.perf_counter()
        times = WorkerTimes()
        rows = self._rows(partition, times)
        times.partition = time.perf_counter() - started
        is_feature = pc.is_null(rows["stage"])
        by_outcome = {FEATURIZED: rows.filter(is_feature), REJECTED: rows.filter(pc.invert(is_feature))}
        name = f"{partition:05d}-{uuid.uuid4().hex}.parquet"
        files = [self._store(outcome, name, found) for outcome, found in by_outcome.items() if found.num_rows]
        times.write = time.perf_counter() - started - times.partition
        times.images, times.rejected = rows.num_rows, by_outcome[REJECTED].num_rows
        times.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.totals.add({worker_host(): times.totals()})
        return files

    def _rows(self, partition: int, times: WorkerTimes) -> pa.Table:
        """The answers, schema TABLE_FILE."""
        start, stop = self.bounds[partition], self.bounds[partition + 1]
        items = items_of(from_ipc(self.images.value).slice(start, stop - start))
        sign = WorkerSign(self.settings, self.signs, stop - start)
        engine = engine_of_worker(self.model)
        origin = RowOrigin(self.slug, self.computed_at)
        batches = answer_images(items, origin, self.settings, self.limits, engine, times, sign.answered)
        return pa.Table.from_batches(list(batches), TABLE_FILE)

    def _store(self, outcome: str, name: str, rows: pa.Table) -> TableFile:
        path = f"{chunk_folder(outcome, self.slug, self.chunk)}/{name}"
        size = write_table_file(self.settings, self.table.child(path), rows)
        return TableFile(path, outcome, rows.num_rows, size)


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

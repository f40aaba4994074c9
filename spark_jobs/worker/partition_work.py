"""The loop of a worker: fetch, decode, infer, store; and what is shipped to it for one chunk."""

import resource
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from verger_rules.addresses import S3Address
from verger_rules.delta_table import TableFile
from verger_rules.layout import chunk_folder
from verger_rules.schemas import FEATURIZED, REJECTED, TABLE_FILE

from spark_jobs.store.object_store import StoreSettings
from spark_jobs.store.table_file import write_table_file
from spark_jobs.worker.decode import UndecodableError, decode_image, prepare_pillow
from spark_jobs.worker.fetch import FetchedImage, FetchLimits, ImageItem, fetch_ahead
from spark_jobs.worker.image_rows import Answer, Reject, RowOrigin, batch_of, feature_row, reject_row
from spark_jobs.worker.infer import Engine, SharedModel, engine_of_worker
from spark_jobs.worker.shared import Shared
from spark_jobs.worker.telemetry import Totals, WorkerTimes
from spark_jobs.worker.worker_sign import WorkerSign

# Rows of one Arrow batch: 64 are 0.4 MB of features and thumbnails.
OUTPUT_ROWS = 64


class WorkLimits(NamedTuple):
    """Bounds of one worker; see docs/formats.md for the arguments behind them."""

    fetch: FetchLimits
    max_pixels: int
    take_damaged: bool
    batch_size: int


@dataclass(frozen=True)
class PartitionWork:
    """The work of one chunk, by partition number.

    Attributes:
        images: shared Arrow IPC stream of the chunk's manifest rows.
        bounds: partition n holds the rows from bounds[n] to bounds[n + 1].
        table: the folder of the feature table.
        slug, chunk, computed_at: what names the files, and what the rows say of where they come from.
        signs: the folder in which workers show that they work.
    """

    images: Shared
    bounds: tuple[int, ...]
    settings: StoreSettings
    table: S3Address
    slug: str
    chunk: int
    computed_at: datetime
    signs: S3Address
    limits: WorkLimits
    model: SharedModel

    def write(self, partition: int) -> tuple[list[TableFile], Totals]:
        """Answer a partition's images and store the rows: a file of features and one of rejects, if there are any.

        Returns these files, and what was measured. A worker holds the rows of one partition. Its files have names of
        their own in every try, so that a task that Spark runs twice, or a step that is not as dead as it seems, never
        writes over what the table's log names.
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
        return files, times.totals()

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


def answer_images(
    items: Iterable[ImageItem],
    origin: RowOrigin,
    settings: StoreSettings,
    limits: WorkLimits,
    engine: Engine,
    times: WorkerTimes,
    answered: Callable[[int], None],
) -> Iterator[pa.RecordBatch]:
    """Rows of schema TABLE_FILE, one for every item, in the items' order; `answered` is told of each few that are done.

    At any time it holds `batch_size` decoded pictures of 224 px, one full picture being decoded, OUTPUT_ROWS finished
    rows, and the fetched bytes that `limits.fetch` allows.
    """
    prepare_pillow()
    rows: list[dict[str, Any]] = []
    for group in _groups(_decoded(fetch_ahead(items, settings, limits.fetch), limits, times), limits.batch_size):
        rows.extend(row | origin._asdict() for row in _finished(group, engine, times))
        answered(len(group))
        if len(rows) >= OUTPUT_ROWS:
            yield batch_of(rows)
            rows = []
    if rows:
        yield batch_of(rows)


def _decoded(fetched: Iterator[FetchedImage], limits: WorkLimits, times: WorkerTimes) -> Iterator[Answer]:
    waiting_since = time.perf_counter()
    for image in fetched:
        started = time.perf_counter()
        times.count_fetch(image, waited=started - waiting_since)
        answer = _decode(image, limits)
        times.decode += time.perf_counter() - started
        yield answer
        waiting_since = time.perf_counter()


def _decode(image: FetchedImage, limits: WorkLimits) -> Answer:
    if image.content is None:
        reject = Reject("read", image.reason, image.detail)
        return Answer(image.item, image.etag, None, reject)
    try:
        picture = decode_image(image.content, limits.max_pixels, take_damaged=limits.take_damaged)
        return Answer(image.item, image.etag, picture, None)
    except UndecodableError as error:
        return Answer(image.item, image.etag, None, Reject("decode", error.reason, str(error)))


def _groups(answers: Iterator[Answer], pictures: int) -> Iterator[list[Answer]]:
    """Cut a stream where it holds so many pictures; rejects ride along."""
    group: list[Answer] = []
    held = 0
    for answer in answers:
        group.append(answer)
        held += answer.picture is not None
        if held == pictures or len(group) >= OUTPUT_ROWS:
            yield group
            group, held = [], 0
    if group:
        yield group


def _finished(group: list[Answer], engine: Engine, times: WorkerTimes) -> Iterator[dict[str, Any]]:
    started = time.perf_counter()
    pixels = [answer.picture.pixels for answer in group if answer.picture is not None]
    features = iter(engine(np.stack(pixels)) if pixels else ())
    times.infer += time.perf_counter() - started
    for answer in group:
        yield reject_row(answer, answer.reject) if answer.reject else feature_row(answer, next(features))


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

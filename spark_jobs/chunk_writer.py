"""One chunk: its images computed and stored by the workers, then committed with one small object."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import SparkContext

from spark_jobs.chunking import partition_bounds
from spark_jobs.commit_records import CommitRecord, TableFiles, write_commit
from spark_jobs.image_rows import WorkLimits
from spark_jobs.infer import BroadcastModel
from spark_jobs.job_errors import StepFailedError
from spark_jobs.layout import TableLayout, chunk_folder, run_slug
from spark_jobs.object_store import StoreSettings, list_keys
from spark_jobs.partition_work import PartitionWork, WrittenPartition, to_ipc
from spark_jobs.s3_address import S3Address

if TYPE_CHECKING:
    from pyspark.accumulators import Accumulator

    from spark_jobs.telemetry import TotalsByHost


@dataclass(frozen=True)
class ChunkJob:
    """What is the same for every chunk of a step."""

    spark: SparkContext
    settings: StoreSettings
    layout: TableLayout
    signs: S3Address
    run_id: str
    model: BroadcastModel
    limits: WorkLimits
    totals: "Accumulator[TotalsByHost]"
    slots: int


def process_chunk(job: ChunkJob, number: int, images: pa.Table) -> None:
    """Compute the rows of a chunk and commit them.

    Raises:
        StepFailedError: the rows written are not the chunk's images, one row each, or a file of theirs has been deleted
            meanwhile; nothing is committed.
    """
    written = _computed(job, number, images)
    record = CommitRecord(
        run_id=job.run_id,
        model_fingerprint=job.layout.fingerprint,
        chunk=number,
        features=together([partition.features for partition in written]),
        rejects=together([partition.rejects for partition in written]),
        committed_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    answered = record.features.rows + record.rejects.rows
    if answered != images.num_rows:
        raise StepFailedError(f"Chunk {number} has {images.num_rows} images but {answered} rows: not committed")
    if missing := missing_files(job.settings, job.layout, record):
        raise StepFailedError(
            f"Chunk {number}: {missing[0]} was deleted before the chunk was committed, as an erasure does "
            f"({len(missing)} files in all): not committed, run again and its images are computed anew"
        )
    write_commit(job.settings, job.layout, record)


def _computed(job: ChunkJob, number: int, images: pa.Table) -> list[WrittenPartition]:
    """Have the workers store the chunk's rows: one task per partition, each of which knows its images by its number."""
    bounds = partition_bounds(images["size"].to_numpy(), job.slots)
    count = len(bounds) - 1
    broadcast = job.spark.broadcast(to_ipc(images))
    work = PartitionWork(
        images=broadcast,
        bounds=tuple(bounds),
        settings=job.settings,
        layout=job.layout,
        folder=chunk_folder(run_slug(job.run_id), number),
        signs=job.signs,
        limits=job.limits,
        model=job.model,
        totals=job.totals,
    )
    try:
        return job.spark.parallelize(range(count), count).map(work.write).collect()
    finally:
        broadcast.unpersist()


def missing_files(settings: StoreSettings, layout: TableLayout, record: CommitRecord) -> list[str]:
    """The addresses of a chunk's files that are not there (any more).

    An erasure deletes files that hold an erased picture whether or not a record names them yet. A record that named
    such a file would make the whole table unreadable.
    """
    folder = chunk_folder(run_slug(record.run_id), record.chunk)
    missing = []
    for root, table in ((layout.features, record.features), (layout.rejects, record.rejects)):
        present = set(list_keys(settings, root.child(folder))) if table.files else set()
        addresses = [root.child(name) for name in table.files]
        missing += [address.uri for address in addresses if address.key not in present]
    return missing


def together(parts: Sequence[TableFiles]) -> TableFiles:
    """The files of several partitions as one commit names them."""
    return TableFiles(sum(part.rows for part in parts), tuple(name for part in parts for name in part.files))

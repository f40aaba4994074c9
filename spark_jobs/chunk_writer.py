"""Computing one chunk with Spark and committing it: rows first, the commit record last."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf
from pyspark.storagelevel import StorageLevel

from spark_jobs.chunking import partition_bounds
from spark_jobs.commit_records import CommitRecord, TableFiles, write_commit
from spark_jobs.image_rows import WorkLimits
from spark_jobs.infer import BroadcastModel
from spark_jobs.job_errors import StepFailedError
from spark_jobs.layout import TableLayout, chunk_folder, run_slug
from spark_jobs.object_store import StoreSettings, list_keys
from spark_jobs.partition_work import PartitionWork, to_ipc
from spark_jobs.remote_file import RemoteFile
from spark_jobs.s3_address import S3Address
from spark_jobs.schemas import ANSWER_DDL, FEATURE_COLUMNS, REJECT_COLUMNS

if TYPE_CHECKING:
    from pyspark.accumulators import Accumulator

    from spark_jobs.telemetry import TotalsByHost

# Rows of a file: 27 MB. Fewer and larger files cost each reader fewer requests.
FILE_ROWS = 4096
# Features hardly repeat: looking for repeated values doubles the time of writing, and the files get no smaller.
PARQUET = {"parquet.enable.dictionary": "false"}


@dataclass(frozen=True)
class ChunkJob:
    """What is the same for every chunk of a step."""

    spark: SparkSession
    settings: StoreSettings
    layout: TableLayout
    run_id: str
    model: BroadcastModel
    limits: WorkLimits
    totals: "Accumulator[TotalsByHost]"
    slots: int


def process_chunk(job: ChunkJob, number: int, images: pa.Table) -> float:
    """Compute the rows of a chunk and commit them; the seconds that writing took.

    Raises:
        StepFailedError: the rows written are not the chunk's images, one row each; nothing is committed.
    """
    rows = _computed(job, images).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        answered, rejected = _count(rows)
        computed = time.monotonic()
        if answered != images.num_rows:
            raise StepFailedError(f"Chunk {number} has {images.num_rows} images but {answered} rows: not committed")
        record = CommitRecord(
            run_id=job.run_id,
            model_fingerprint=job.layout.fingerprint,
            chunk=number,
            features=_write(job, number, rows.where("stage is null").select(*FEATURE_COLUMNS), answered - rejected),
            rejects=_write(job, number, rows.where("stage is not null").select(*REJECT_COLUMNS), rejected),
            committed_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
    finally:
        rows.unpersist()
    write_commit(job.settings, job.layout, record)
    return time.monotonic() - computed


def _computed(job: ChunkJob, images: pa.Table) -> DataFrame:
    """The chunk's rows, not yet computed: one task per partition, each of which knows its images by its number."""
    bounds = partition_bounds(images["size"].to_numpy(), job.slots)
    count = len(bounds) - 1
    work = PartitionWork(
        images=job.spark.sparkContext.broadcast(to_ipc(images)),
        bounds=tuple(bounds),
        settings=job.settings,
        limits=job.limits,
        model=job.model,
        totals=job.totals,
    )
    return job.spark.range(0, count, 1, count).mapInArrow(work.function(), ANSWER_DDL)


def _count(rows: DataFrame) -> tuple[int, int]:
    """Compute the chunk; how many rows it has, and how many of them are rejects."""
    counted = rows.select(sf.count("*"), sf.count("stage")).first()
    if counted is None:
        raise TypeError("an aggregate without groups gave no row")
    return int(counted[0]), int(counted[1])


def _write(job: ChunkJob, number: int, rows: DataFrame, expected: int) -> TableFiles:
    """Write rows into the chunk's folder, over what a killed attempt left there, and check what lies there then."""
    if expected == 0:
        return TableFiles(0, ())
    root = job.layout.features if "features" in rows.columns else job.layout.rejects
    folder = root.child(chunk_folder(run_slug(job.run_id), number))
    files = -(-expected // FILE_ROWS)
    rows.coalesce(max(files, min(job.slots, -(-expected // 1024)))).write.mode("overwrite").options(**PARQUET).parquet(
        folder.uri
    )
    written = [key for key in list_keys(job.settings, folder) if key.endswith(".parquet")]
    lengths = {key: _rows_of(job.settings, S3Address(folder.bucket, key)) for key in written}
    if sum(lengths.values()) != expected:
        raise StepFailedError(f"{folder.uri} holds {sum(lengths.values())} rows instead of {expected}: not committed")
    return TableFiles(expected, tuple(key.removeprefix(f"{root.key}/") for key in written if lengths[key]))


def _rows_of(settings: StoreSettings, address: S3Address) -> int:
    return int(pq.ParquetFile(RemoteFile(settings, address)).metadata.num_rows)

"""One chunk: its images computed and stored by the workers, then committed to the feature table at once."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from verger_rules.addresses import S3Address
from verger_rules.delta_table import TableFile, TablePlace, commit_chunk
from verger_rules.layout import chunk_folder
from verger_rules.schemas import FEATURIZED, REJECTED

from spark_jobs.job_errors import StepFailedError
from spark_jobs.place.work_place import Workers
from spark_jobs.steps.chunking import partition_bounds
from spark_jobs.store.object_store import StoreSettings, list_keys
from spark_jobs.worker.infer import SharedModel
from spark_jobs.worker.partition_work import PartitionWork, WorkLimits, to_ipc


@dataclass(frozen=True)
class ChunkJob:
    """What is the same for every chunk of a step."""

    workers: Workers
    settings: StoreSettings
    place: TablePlace
    signs: S3Address
    slug: str
    model: SharedModel
    limits: WorkLimits


def process_chunk(job: ChunkJob, number: int, images: pa.Table) -> bool:
    """Compute the rows of a chunk and commit them; whether they count, or those of another try of this run do.

    Raises:
        StepFailedError: the rows written are not the chunk's images, one row each, or a file of theirs has been deleted
            meanwhile; nothing is committed.
        TableError: the table does not take the commit.
    """
    files = _computed(job, number, images)
    answered = sum(file.rows for file in files)
    if answered != images.num_rows:
        raise StepFailedError(f"Chunk {number} has {images.num_rows} images but {answered} rows: not committed")
    if missing := missing_files(job, number, files):
        raise StepFailedError(
            f"Chunk {number}: {missing[0]} was deleted before the chunk was committed, as an erasure does "
            f"({len(missing)} files in all): not committed, run again and its images are computed anew"
        )
    return commit_chunk(job.place, job.slug, number, files)


def _computed(job: ChunkJob, number: int, images: pa.Table) -> list[TableFile]:
    """Have the workers store the chunk's rows: one part per partition, which knows its images by its number."""
    bounds = partition_bounds(images["size"].to_numpy(), job.workers.slots)
    shared = job.workers.share(to_ipc(images))
    work = PartitionWork(
        images=shared,
        bounds=tuple(bounds),
        settings=job.settings,
        table=job.place.folder,
        slug=job.slug,
        chunk=number,
        computed_at=datetime.now(UTC),
        signs=job.signs,
        limits=job.limits,
        model=job.model,
    )
    try:
        written = job.workers.hand_out(work.write, len(bounds) - 1)
        return [file for files in written for file in files]
    finally:
        shared.unpersist()


def missing_files(job: ChunkJob, chunk: int, files: list[TableFile]) -> list[str]:
    """The addresses of a chunk's files that are not there (any more).

    An erasure deletes files that nobody names yet. A commit that named such a file would make the table unreadable.
    """
    folder = job.place.folder
    folders = [folder.child(chunk_folder(outcome, job.slug, chunk)) for outcome in (FEATURIZED, REJECTED)]
    present = {key for of_outcome in folders for key in list_keys(job.settings, of_outcome)}
    return [folder.child(file.name).uri for file in files if folder.child(file.name).key not in present]

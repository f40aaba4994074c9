"""The features of a manifest in path order, cut into blocks, and how a worker reads its blocks."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.answers import has_features
from verger_rules.model import FEATURES
from verger_rules.table_keys import Int64s

from spark_jobs.job_errors import RefusedError, StepFailedError
from spark_jobs.store.object_store import StoreSettings
from spark_jobs.store.remote_file import RemoteFile

# Images of a block: 10 MB in float64. Results are added up block by block in path order, so that they do not depend
# on how the table's files happen to be cut or on the size of the cluster.
BLOCK_IMAGES = 1024
# Blocks of a task at most (a power of two, see `merge_in_order`): 42 MB of float32 in a worker.
TASK_BLOCKS = 8
TASKS_PER_SLOT = 3
READS_AT_ONCE = 4

Vectors = npt.NDArray[np.float32]
Number = TypeVar("Number", np.float32, np.float64)


@dataclass(frozen=True)
class FileRows:
    """Some rows of one file of features and their places in a task.

    Attributes:
        rows: row numbers in the file, ascending.
        places: where each row belongs among the task's images.
    """

    address: S3Address
    rows: Int64s
    places: Int64s


@dataclass(frozen=True)
class BlockTask:
    """The work of one task: consecutive images in path order, a whole number of blocks (the last may be short)."""

    index: int
    images: int
    sources: tuple[FileRows, ...]


@dataclass(frozen=True)
class FeatureRows:
    """Where the features of a run's images lie, in path order.

    Attributes:
        files: the files that hold them.
        file: index into `files`, [images].
        row: row number within its file, [images].
    """

    files: tuple[S3Address, ...]
    file: Int64s
    row: Int64s

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.file)


def rows_of_answers(answers: pa.Table, folder: S3Address) -> FeatureRows:
    """Where the images with features have them, from a run's answers (schema ANSWERS) and the table's folder."""
    found = answers.filter(has_features(answers))
    encoded = found["file"].combine_chunks().dictionary_encode()
    names = [folder.child(name) for name in encoded.dictionary.to_pylist()]
    return FeatureRows(tuple(names), encoded.indices.to_numpy().astype(np.int64), found["row"].to_numpy())


def blocks_per_task(images: int, slots: int) -> int:
    """How many blocks a task gets: the largest power of two up to TASK_BLOCKS that leaves each slot enough tasks."""
    blocks = -(-images // BLOCK_IMAGES)
    count = TASK_BLOCKS
    while count > 1 and blocks / count < TASKS_PER_SLOT * slots:
        count //= 2
    return count


def block_tasks(rows: FeatureRows, slots: int) -> list[BlockTask]:
    """Cut the images into tasks."""
    length = blocks_per_task(len(rows), slots) * BLOCK_IMAGES
    return [
        BlockTask(index, min(length, len(rows) - start), _sources(rows, slice(start, start + length)))
        for index, start in enumerate(range(0, len(rows), length))
    ]


def _sources(rows: FeatureRows, images: slice) -> tuple[FileRows, ...]:
    file, row = rows.file[images], rows.row[images]
    order = np.lexsort((row, file))
    cuts = np.flatnonzero(np.diff(file[order])) + 1
    return tuple(FileRows(rows.files[int(file[places[0]])], row[places], places) for places in np.split(order, cuts))


def read_task(settings: StoreSettings, task: BlockTask) -> Vectors:
    """The features of a task's images, float32 [images, 1280].

    Raises:
        RefusedError: a value is not finite, or a row has not 1,280 of them.
        StepFailedError: a file cannot be read.
    """
    vectors = np.empty((task.images, FEATURES), np.float32)
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        parts = pool.map(lambda source: (source, read_rows(settings, source)), task.sources)
        for source, part in parts:
            vectors[source.places] = part
    return vectors


def blocks(vectors: npt.NDArray[Number]) -> Iterator[npt.NDArray[Number]]:
    """Cut a task's vectors (or their scores) into blocks."""
    for start in range(0, len(vectors), BLOCK_IMAGES):
        yield vectors[start : start + BLOCK_IMAGES]


def read_rows(settings: StoreSettings, source: FileRows) -> Vectors:
    """Some rows of one file, read by the row groups that hold them."""
    try:
        file = pq.ParquetFile(RemoteFile(settings, source.address), pre_buffer=True)
        lengths = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        groups, places = rows_in_groups(lengths, source.rows)
        column = file.read_row_groups(groups, columns=["features"])["features"].combine_chunks()
    except FileNotFoundError as error:
        raise StepFailedError(
            f"{source.address.uri} is not there: an erasure or a clean-up was faster. Run featurize again"
        ) from error
    except (OSError, pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise StepFailedError(f"{source.address.uri} cannot be read: {error}") from error
    return check_vectors(column.take(pa.array(places)), source)


def rows_in_groups(lengths: Sequence[int], rows: Int64s) -> tuple[list[int], Int64s]:
    """The row groups that hold some rows, and the places of the rows when only those groups are read."""
    ends = np.cumsum(lengths)
    group_of_row = np.searchsorted(ends, rows, side="right")
    groups = np.unique(group_of_row)
    skipped = ends - np.asarray(lengths) - np.cumsum(np.where(np.isin(range(len(lengths)), groups), lengths, 0))
    skipped += np.asarray(lengths)
    return [int(group) for group in groups], rows - skipped[group_of_row]


def check_vectors(column: pa.ListArray, source: FileRows) -> Vectors:
    """A column of features as float32 [n, 1280].

    Raises:
        RefusedError: a row is null, has another length, or holds a value that is not finite.
    """
    widths = column.value_lengths().fill_null(0).to_numpy()
    if (wrong := np.flatnonzero(widths != FEATURES)).size:
        row = int(source.rows[wrong[0]])
        raise RefusedError(f"{source.address.uri} row {row} has {widths[wrong[0]]} features instead of {FEATURES}")
    vectors: Vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, FEATURES)
    if (wrong := np.flatnonzero(~np.isfinite(vectors).all(axis=1))).size:
        row = int(source.rows[wrong[0]])
        raise RefusedError(
            f"{source.address.uri} row {row} has features that are not finite: erase this image's rows and run again"
        )
    return vectors

"""The features of a manifest in path order, cut into blocks, and how a worker reads its blocks."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.answers import has_features
from verger_rules.model import FEATURES
from verger_rules.row_parts import in_parts

from spark_jobs.job_errors import RefusedError, StepFailedError
from spark_jobs.store.answers_store import AnswerGroup, read_group
from spark_jobs.store.object_store import StoreSettings
from spark_jobs.store.remote_file import RemoteFile

# Images of a block: 10 MB in float64. Results are added up block by block in path order, so that they do not depend
# on how the table's files happen to be cut or on the size of the cluster.
BLOCK_IMAGES = 1024
# Blocks that a task reads at a time (a power of two, see `merge_in_order`): 42 MB of float32 in a worker.
READ_BLOCKS = 8
TASKS_PER_SLOT = 3
READS_AT_ONCE = 4

Vectors = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]
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
class FeatureImages:
    """The images of a run that have features, in path order: their answers tell where the features lie.

    Attributes:
        settings: of the store.
        table: folder of the feature table.
        groups: of the run's answers.
    """

    settings: StoreSettings
    table: S3Address
    groups: tuple[AnswerGroup, ...]

    def __len__(self) -> int:
        """How many images there are."""
        return sum(group.featurized for group in self.groups)

    def read(self, columns: Sequence[str], start: int, stop: int, at_once: int) -> Iterator[pa.Table]:
        """Some columns of the answers of the images `start` to `stop` - 1, in order, so many at a time.

        Raises what `read_group` does.
        """
        yield from in_parts(self._between(columns, start, stop), at_once)

    def _between(self, columns: Sequence[str], start: int, stop: int) -> Iterator[pa.Table]:
        for group in self.groups:
            if group.first < stop and start < group.first + group.featurized:
                answers = read_group(self.settings, group, [*columns, "file"])
                images = answers.filter(has_features(answers)).select(list(columns))
                first = max(0, start - group.first)
                yield images.slice(first, min(stop - group.first, group.featurized) - first)


@dataclass(frozen=True)
class BlockTask:
    """The work of one task: consecutive images in path order, a whole number of blocks (the last may be short)."""

    index: int
    start: int
    images: int


def blocks_per_task(images: int, slots: int, most: int | None) -> int:
    """How many blocks a task gets: the largest power of two, up to `most`, that leaves each slot enough tasks."""
    blocks = -(-images // BLOCK_IMAGES)
    count = 1
    while (most is None or count < most) and blocks / (2 * count) >= TASKS_PER_SLOT * slots:
        count *= 2
    return count


def block_tasks(images: int, slots: int, most: int | None = READ_BLOCKS) -> list[BlockTask]:
    """Cut images into tasks of at most so many blocks each; without a bound, into as few as keep the slots at work."""
    length = blocks_per_task(images, slots, most) * BLOCK_IMAGES
    return [
        BlockTask(index, start, min(length, images - start)) for index, start in enumerate(range(0, images, length))
    ]


def read_task(images: FeatureImages, task: BlockTask) -> Iterator[Vectors]:
    """The features of a task's images, float32 [n, 1280] each, some blocks at a time.

    Raises:
        RefusedError: a value is not finite, or a row has not 1,280 of them.
        StepFailedError: a file cannot be read.
    """
    for answers in images.read(("file", "row"), task.start, task.start + task.images, READ_BLOCKS * BLOCK_IMAGES):
        yield read_vectors(images, answers)


def read_vectors(images: FeatureImages, answers: pa.Table) -> Vectors:
    """The features of some images, float32 [n, 1280], from where their answers (columns file, row) say they lie.

    Raises what `read_task` does.
    """
    vectors = np.empty((answers.num_rows, FEATURES), np.float32)
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        sources = _sources(answers, images.table)
        for source, part in zip(sources, pool.map(partial(read_rows, images.settings), sources), strict=True):
            vectors[source.places] = part
    return vectors


def _sources(answers: pa.Table, table: S3Address) -> list[FileRows]:
    encoded = answers["file"].combine_chunks().dictionary_encode()
    file, row = encoded.indices.to_numpy().astype(np.int64), answers["row"].to_numpy()
    order = np.lexsort((row, file))
    cuts = np.flatnonzero(np.diff(file[order])) + 1
    names = encoded.dictionary.to_pylist()
    return [FileRows(table.child(names[int(file[places[0]])]), row[places], places) for places in np.split(order, cuts)]


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

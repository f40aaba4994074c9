"""The two passes over the features, their moments and their scores: on the cluster, or on the driver when they are few.

Both go block by block in path order and merge along the same tree, so that they come to the same bits.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from pyspark import SparkContext
from pyspark.storagelevel import StorageLevel

from spark_jobs.pca.feature_blocks import BlockTask, FeatureRows, Vectors, block_tasks, blocks, read_task
from spark_jobs.pca.moments import Matrix, Moments, merge_in_order, moments_of, pack, unpack
from spark_jobs.pca.pca_model import PcaModel
from spark_jobs.place.spark_context import close_context, task_slots
from spark_jobs.store.object_store import StoreSettings
from spark_jobs.worker.infer import Broadcast

if TYPE_CHECKING:
    from pyspark.core.rdd import RDD

# Partial results merged as one (a power of two, see `merge_in_order`): 6.6 MB each, so 105 MB, on the driver too.
MERGED_AT_ONCE = 16
# So many the driver adds up in less time than Spark and its workers take to start (`make bench`, 20,000 images).
DRIVER_IMAGES = 32_768
# Tasks the driver has in hand at a time: it may be small, and each holds up to 80 MB.
DRIVER_THREADS = 4

Packed = tuple[int, bytes, bytes]
Result = TypeVar("Result")


class BlockPasses(Protocol):
    """What PCA asks of the features."""

    def moments(self) -> Moments:
        """Mean and scatter of all features."""

    def scores(self, model: PcaModel) -> Iterator[Matrix]:
        """The scores [images, k] of all images in path order, block by block."""


@contextmanager
def block_passes(
    settings: StoreSettings, rows: FeatureRows, open_context: Callable[[], SparkContext]
) -> Iterator[BlockPasses]:
    """The passes over the features of some images; Spark starts only if there are many."""
    if len(rows) <= DRIVER_IMAGES:
        threads = min(DRIVER_THREADS, os.cpu_count() or 1)
        yield DriverPasses(settings, block_tasks(rows, threads), threads)
        return
    spark = open_context()
    try:
        yield SparkPasses(spark, settings, block_tasks(rows, task_slots(spark)))
    finally:
        close_context(spark)


class DriverPasses:
    """Over features that the driver reads, some tasks at a time."""

    def __init__(self, settings: StoreSettings, tasks: list[BlockTask], threads: int) -> None:
        self._settings = settings
        self._tasks = tasks
        self._threads = threads

    def moments(self) -> Moments:
        """Per block, merged in path order as a tree."""
        return merge_in_order(self._each(moments_of_blocks))

    def scores(self, model: PcaModel) -> Iterator[Matrix]:
        """Block by block."""
        for scores in self._each(lambda vectors: [model.project(block) for block in blocks(vectors)]):
            yield from scores

    def _each(self, work: Callable[[Vectors], Result]) -> Iterator[Result]:
        with ThreadPoolExecutor(self._threads) as pool:
            yield from pool.map(lambda task: work(read_task(self._settings, task)), self._tasks)


class SparkPasses:
    """Over features that the executors read, a task's at a time."""

    def __init__(self, spark: SparkContext, settings: StoreSettings, tasks: list[BlockTask]) -> None:
        self._spark = spark
        self._settings = settings
        self._tasks = tasks

    def moments(self) -> Moments:
        """Per block, merged in path order as a tree.

        However many tasks there are, the driver gets at most MERGED_AT_ONCE partial results.
        """
        partials: RDD[tuple[int, Packed]] = self._parallel().map(partial(_task_moments, self._settings))
        count = len(self._tasks)
        while count > MERGED_AT_ONCE:
            count = -(-count // MERGED_AT_ONCE)
            partials = partials.map(_under_parent).groupByKey(count, _number).map(_merged)
        collected = sorted(partials.collect())
        return merge_in_order(unpack(packed) for _, packed in collected)

    def scores(self, model: PcaModel) -> Iterator[Matrix]:
        """Computed in parallel and kept on the executors' disks; the driver holds one task's at a time."""
        broadcast = self._spark.broadcast(model)
        scores = self._parallel().map(partial(_task_scores, self._settings, broadcast))
        scores.persist(StorageLevel.DISK_ONLY)
        # All tasks at once, in parallel; the iterator below would run them one after the other.
        scores.count()
        for content in scores.toLocalIterator():
            yield from blocks(np.frombuffer(content).reshape(-1, model.k))
        scores.unpersist()

    def _parallel(self) -> "RDD[BlockTask]":
        return self._spark.parallelize(self._tasks, len(self._tasks))


def moments_of_blocks(vectors: Vectors) -> Moments:
    """The moments of a task's vectors."""
    return merge_in_order(moments_of(block) for block in blocks(vectors))


def _task_moments(settings: StoreSettings, task: BlockTask) -> tuple[int, Packed]:
    return task.index, pack(moments_of_blocks(read_task(settings, task)))


def _under_parent(partial_result: tuple[int, Packed]) -> tuple[int, tuple[int, Packed]]:
    index, packed = partial_result
    return index // MERGED_AT_ONCE, (index, packed)


def _number(key: int) -> int:
    return key


def _merged(group: tuple[int, Iterable[tuple[int, Packed]]]) -> tuple[int, Packed]:
    parent, children = group
    return parent, pack(merge_in_order(unpack(packed) for _, packed in sorted(children)))


def _task_scores(settings: StoreSettings, broadcast: Broadcast, task: BlockTask) -> bytes:
    model: PcaModel = broadcast.value
    return b"".join(model.project(block).tobytes() for block in blocks(read_task(settings, task)))

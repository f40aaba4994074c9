"""The two passes over the features by Spark's executors, for more images than the driver should read."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pyspark import SparkContext
from pyspark.storagelevel import StorageLevel
from verger_rules.model import FEATURES

from spark_jobs.pca.block_passes import (
    DRIVER_IMAGES,
    BlockPasses,
    block_passes,
    moments_of_task,
    sample_of_task,
    scores_of_task,
)
from spark_jobs.pca.feature_blocks import BlockTask, FeatureImages, Int64s, Vectors, block_tasks, blocks
from spark_jobs.pca.moments import Matrix, Moments, merge_in_order, pack, unpack
from spark_jobs.pca.pca_model import PcaModel
from spark_jobs.place.spark_context import close_context, open_context, task_slots
from spark_jobs.worker.shared import Shared

if TYPE_CHECKING:
    from pyspark.core.rdd import RDD

# Partial results merged as one (a power of two, see `merge_in_order`): 6.6 MB each, so 105 MB, on the driver too.
MERGED_AT_ONCE = 16

#: Moments as they travel, and the vectors of the sample that were met on the way.
Packed = tuple[tuple[int, bytes, bytes], bytes]


@contextmanager
def spark_passes(images: FeatureImages, name: str) -> Iterator[BlockPasses]:
    """The passes over the features of some images; Spark starts only if there are more than DRIVER_IMAGES."""
    if len(images) <= DRIVER_IMAGES:
        with block_passes(images, name) as passes:
            yield passes
        return
    spark = open_context(name)
    try:
        yield SparkPasses(spark, images, task_slots(spark))
    finally:
        close_context(spark)


class SparkPasses:
    """Over features that the executors read, a task's at a time, some blocks of it at once."""

    def __init__(self, spark: SparkContext, images: FeatureImages, slots: int) -> None:
        self._spark = spark
        self._slots = slots
        self._count = len(images)
        # Every task needs to know which answers are its own, of all of them.
        self._images = spark.broadcast(images)

    def moments(self, sample: Int64s) -> tuple[Moments, Vectors]:
        """Per block, merged in path order as a tree; the sample travels beside.

        As few tasks as keep the slots at work, whatever the number of images: each partial result travels. And the
        driver gets at most MERGED_AT_ONCE of them.
        """
        tasks = block_tasks(self._count, self._slots, most=None)
        chosen = self._spark.broadcast(sample)
        partials: RDD[tuple[int, Packed]] = self._parallel(tasks).map(partial(_task_moments, self._images, chosen))
        count = len(tasks)
        while count > MERGED_AT_ONCE:
            count = -(-count // MERGED_AT_ONCE)
            partials = partials.map(_under_parent).groupByKey(count, _number).map(_merged)
        collected = sorted(partials.collect())
        of_sample = b"".join(vectors for _, (_, vectors) in collected)
        return merge_in_order(unpack(packed) for _, (packed, _) in collected), _vectors(of_sample)

    def sampled(self, sample: Int64s) -> Vectors:
        """By the tasks that have some of it."""
        tasks = block_tasks(self._count, self._slots)
        chosen = self._spark.broadcast(sample)
        found = self._parallel(tasks).map(partial(_task_sample, self._images, chosen)).collect()
        return _vectors(b"".join(found))

    def scores(self, model: PcaModel) -> Iterator[Matrix]:
        """Computed in parallel and kept on the executors' disks; the driver holds one task's at a time."""
        broadcast = self._spark.broadcast(model)
        tasks = block_tasks(self._count, self._slots)
        scores = self._parallel(tasks).map(partial(_task_scores, self._images, broadcast))
        scores.persist(StorageLevel.DISK_ONLY)
        # All tasks at once, in parallel; the iterator below would run them one after the other.
        scores.count()
        for content in scores.toLocalIterator():
            yield from blocks(np.frombuffer(content).reshape(-1, model.k))
        scores.unpersist()

    def _parallel(self, tasks: list[BlockTask]) -> "RDD[BlockTask]":
        return self._spark.parallelize(tasks, len(tasks))


def _task_moments(images: Shared, sample: Shared, task: BlockTask) -> tuple[int, Packed]:
    moments, of_sample = moments_of_task(images.value, sample.value, task)
    return task.index, (pack(moments), of_sample.tobytes())


def _task_sample(images: Shared, sample: Shared, task: BlockTask) -> bytes:
    return sample_of_task(images.value, sample.value, task).tobytes()


def _vectors(content: bytes) -> Vectors:
    return np.frombuffer(content, np.float32).reshape(-1, FEATURES)


def _under_parent(partial_result: tuple[int, Packed]) -> tuple[int, tuple[int, Packed]]:
    index, packed = partial_result
    return index // MERGED_AT_ONCE, (index, packed)


def _number(key: int) -> int:
    return key


def _merged(group: tuple[int, Iterable[tuple[int, Packed]]]) -> tuple[int, Packed]:
    parent, children = group
    ordered = sorted(children)
    of_sample = b"".join(vectors for _, (_, vectors) in ordered)
    return parent, (pack(merge_in_order(unpack(packed) for _, (packed, _) in ordered)), of_sample)


def _task_scores(images: Shared, broadcast: Shared, task: BlockTask) -> bytes:
    return b"".join(scores.tobytes() for scores in scores_of_task(images.value, broadcast.value, task))

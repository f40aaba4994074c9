"""The two passes over the features on the cluster: their moments, and their scores."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from pyspark.sql import SparkSession
from pyspark.storagelevel import StorageLevel

from spark_jobs.feature_blocks import BlockTask, blocks, read_task
from spark_jobs.infer import Broadcast
from spark_jobs.moments import Matrix, Moments, merge_in_order, moments_of, pack, unpack
from spark_jobs.object_store import StoreSettings
from spark_jobs.pca_model import PcaModel

if TYPE_CHECKING:
    from pyspark.core.rdd import RDD

# Partial results merged as one (a power of two, see `merge_in_order`): 6.6 MB each, so 105 MB, on the driver too.
MERGED_AT_ONCE = 16

Packed = tuple[int, bytes, bytes]


def total_moments(spark: SparkSession, settings: StoreSettings, tasks: list[BlockTask]) -> Moments:
    """Mean and scatter of all features: per block, merged in path order as a tree.

    However many tasks there are, the driver gets at most MERGED_AT_ONCE partial results.
    """
    partials: RDD[tuple[int, Packed]] = _parallel(spark, tasks).map(partial(_task_moments, settings))
    count = len(tasks)
    while count > MERGED_AT_ONCE:
        count = -(-count // MERGED_AT_ONCE)
        partials = partials.map(_under_parent).groupByKey(count, _number).map(_merged)
    collected = sorted(partials.collect())
    return merge_in_order(unpack(packed) for _, packed in collected)


def project_blocks(
    spark: SparkSession, settings: StoreSettings, tasks: list[BlockTask], model: PcaModel
) -> Iterator[Matrix]:
    """The scores of each task's images [images, k], in path order; the driver holds one task's at a time."""
    broadcast = spark.sparkContext.broadcast(model)
    scores = _parallel(spark, tasks).map(partial(_task_scores, settings, broadcast))
    scores.persist(StorageLevel.DISK_ONLY)
    # All tasks at once, in parallel; the iterator below would run them one after the other.
    scores.count()
    for content in scores.toLocalIterator():
        yield np.frombuffer(content).reshape(-1, model.k)
    scores.unpersist()


def _parallel(spark: SparkSession, tasks: list[BlockTask]) -> "RDD[BlockTask]":
    return spark.sparkContext.parallelize(tasks, max(1, len(tasks)))


def _task_moments(settings: StoreSettings, task: BlockTask) -> tuple[int, Packed]:
    return task.index, pack(merge_in_order(moments_of(block) for block in blocks(read_task(settings, task))))


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

"""The two passes over the features, their moments and their scores, by one process: the driver, when they are few.

These and those of `spark_passes.py` go block by block in path order and merge along the same tree, so that they come to
the same bits.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from spark_jobs.pca.feature_blocks import BlockTask, FeatureRows, Vectors, block_tasks, blocks, read_task
from spark_jobs.pca.moments import Matrix, Moments, merge_in_order, moments_of
from spark_jobs.pca.pca_model import PcaModel
from spark_jobs.store.object_store import StoreSettings

# So many the driver adds up in less time than Spark and its workers take to start (`make bench`, 20,000 images).
DRIVER_IMAGES = 32_768
# Tasks the driver has in hand at a time: it may be small, and each holds up to 80 MB.
DRIVER_THREADS = 4

Result = TypeVar("Result")


class BlockPasses(Protocol):
    """What PCA asks of the features."""

    def moments(self) -> Moments:
        """Mean and scatter of all features."""

    def scores(self, model: PcaModel) -> Iterator[Matrix]:
        """The scores [images, k] of all images in path order, block by block."""


#: Opens the passes over some images, for a step of a name.
OpenPasses = Callable[[StoreSettings, FeatureRows, str], AbstractContextManager[BlockPasses]]


@contextmanager
def block_passes(settings: StoreSettings, rows: FeatureRows, name: str) -> Iterator[BlockPasses]:  # noqa: ARG001
    """The passes over the features of some images by this process, whatever their number: an OpenPasses."""
    threads = min(DRIVER_THREADS, os.cpu_count() or 1)
    yield DriverPasses(settings, block_tasks(rows, threads), threads)


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
        """The results in order; one task a thread is in hand, and one result waits."""
        with ThreadPoolExecutor(self._threads) as pool:
            remaining, window = iter(self._tasks), deque[Future[Result]]()
            try:
                while True:
                    for task in itertools.islice(remaining, self._threads + 1 - len(window)):
                        window.append(pool.submit(self._do, work, task))
                    if not window:
                        return
                    yield window.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _do(self, work: Callable[[Vectors], Result], task: BlockTask) -> Result:
        return work(read_task(self._settings, task))


def moments_of_blocks(vectors: Vectors) -> Moments:
    """The moments of a task's vectors."""
    return merge_in_order(moments_of(block) for block in blocks(vectors))

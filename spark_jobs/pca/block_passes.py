"""The two passes over the features, their moments and their scores, by one process: the driver, when they are few.

These and those of `spark_passes.py` go block by block in path order and merge along the same tree, so that they come to
the same bits.
"""

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from spark_jobs.pca.feature_blocks import BlockTask, FeatureImages, Vectors, block_tasks, blocks, read_task
from spark_jobs.pca.moments import Matrix, Moments, merge_in_order, moments_of
from spark_jobs.pca.pca_model import PcaModel

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
OpenPasses = Callable[[FeatureImages, str], AbstractContextManager[BlockPasses]]


@contextmanager
def block_passes(images: FeatureImages, name: str) -> Iterator[BlockPasses]:  # noqa: ARG001
    """The passes over the features of some images by this process, whatever their number: an OpenPasses."""
    yield DriverPasses(images, min(DRIVER_THREADS, os.cpu_count() or 1))


class DriverPasses:
    """Over features that the driver reads, some tasks at a time."""

    def __init__(self, images: FeatureImages, threads: int) -> None:
        self._images = images
        self._tasks = block_tasks(len(images), threads)
        self._threads = threads

    def moments(self) -> Moments:
        """Per block, merged in path order as a tree."""
        return merge_in_order(self._each(moments_of_blocks))

    def scores(self, model: PcaModel) -> Iterator[Matrix]:
        """Block by block."""
        for scores in self._each(lambda parts: [model.project(block) for part in parts for block in blocks(part)]):
            yield from scores

    def _each(self, work: Callable[[Iterable[Vectors]], Result]) -> Iterator[Result]:
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

    def _do(self, work: Callable[[Iterable[Vectors]], Result], task: BlockTask) -> Result:
        return work(read_task(self._images, task))


def moments_of_blocks(parts: Iterable[Vectors]) -> Moments:
    """The moments of a task's vectors, each part a whole number of blocks but for the last."""
    return merge_in_order(moments_of(block) for part in parts for block in blocks(part))

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
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from verger_rules.model import FEATURES

from spark_jobs.pca.feature_blocks import BlockTask, FeatureImages, Int64s, Vectors, block_tasks, blocks, read_task
from spark_jobs.pca.moments import Matrix, Moments, merge_in_order, moments_of
from spark_jobs.pca.pca_model import PcaModel

# So many the driver adds up in less time than Spark and its workers take to start (`make bench`, 20,000 images).
DRIVER_IMAGES = 32_768
# Tasks the driver has in hand at a time: it may be small, and each holds up to 80 MB.
DRIVER_THREADS = 4

Result = TypeVar("Result")


class BlockPasses(Protocol):
    """What PCA asks of the features."""

    def moments(self, sample: Int64s) -> tuple[Moments, Vectors]:
        """Mean and scatter of all features, and the features of some images by their ascending numbers."""

    def sampled(self, sample: Int64s) -> Vectors:
        """The features of some images alone."""

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

    def moments(self, sample: Int64s) -> tuple[Moments, Vectors]:
        """Per block, merged in path order as a tree."""
        kept: list[Vectors] = []

        def without_sample() -> Iterator[Moments]:
            for moments, of_sample in self._each(partial(moments_of_task, self._images, sample)):
                kept.append(of_sample)
                yield moments

        return merge_in_order(without_sample()), np.concatenate(kept)

    def sampled(self, sample: Int64s) -> Vectors:
        """Task by task."""
        return np.concatenate(list(self._each(partial(sample_of_task, self._images, sample))))

    def scores(self, model: PcaModel) -> Iterator[Matrix]:
        """Block by block."""
        for scores in self._each(partial(scores_of_task, self._images, model)):
            yield from scores

    def _each(self, work: Callable[[BlockTask], Result]) -> Iterator[Result]:
        """The results in order; one task a thread is in hand, and one result waits."""
        with ThreadPoolExecutor(self._threads) as pool:
            remaining, window = iter(self._tasks), deque[Future[Result]]()
            try:
                while True:
                    for task in itertools.islice(remaining, self._threads + 1 - len(window)):
                        window.append(pool.submit(work, task))
                    if not window:
                        return
                    yield window.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)


def moments_of_task(images: FeatureImages, sample: Int64s, task: BlockTask) -> tuple[Moments, Vectors]:
    """The moments of a task's vectors, and of those of the sample the vectors themselves."""
    kept: list[Vectors] = [np.empty((0, FEATURES), np.float32)]
    parts = _keeping(read_task(images, task), inside(sample, task), kept)
    # Each part is a whole number of blocks but for the last.
    return merge_in_order(moments_of(block) for part in parts for block in blocks(part)), np.concatenate(kept)


def sample_of_task(images: FeatureImages, sample: Int64s, task: BlockTask) -> Vectors:
    """The vectors of a task's images that are of the sample; a task without any reads nothing."""
    kept: list[Vectors] = [np.empty((0, FEATURES), np.float32)]
    if (mine := inside(sample, task)).size:
        for _ in _keeping(read_task(images, task), mine, kept):
            pass
    return np.concatenate(kept)


def scores_of_task(images: FeatureImages, model: PcaModel, task: BlockTask) -> list[Matrix]:
    """The scores of a task's images, block by block."""
    return [model.project(block) for part in read_task(images, task) for block in blocks(part)]


def inside(sample: Int64s, task: BlockTask) -> Int64s:
    """Which images of a task are of the sample, counted from its first one."""
    start, stop = np.searchsorted(sample, [task.start, task.start + task.images])
    return sample[start:stop] - task.start


def _keeping(parts: Iterable[Vectors], numbers: Int64s, kept: list[Vectors]) -> Iterator[Vectors]:
    """Pass on what is read, and keep copies of the vectors of some numbers."""
    first = 0
    for part in parts:
        start, stop = np.searchsorted(numbers, [first, first + len(part)])
        kept.append(part[numbers[start:stop] - first])
        first += len(part)
        yield part

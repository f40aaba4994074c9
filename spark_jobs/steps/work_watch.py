"""Whether a step moves: since when what it has done is the same."""

import time
from collections.abc import Callable

from pyspark import SparkContext


class WorkWatch:
    """Remembers when marks of the work last changed, by a clock that nobody sets."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moved = clock()
        self._mark: object = None

    def idle_seconds(self, mark: object) -> float:
        """Seconds since the mark was another one than this."""
        now = self._clock()
        if mark != self._mark:
            self._mark, self._moved = mark, now
        return now - self._moved


def finished_tasks() -> tuple[tuple[int, int], ...]:
    """The stages that Spark works at and how many tasks of each are done; empty while there is no context.

    Tasks that failed do not count. Raises whatever Py4J does when the JVM does not answer.
    """
    # The public way to the running context, getOrCreate, starts one where there is none.
    context = SparkContext._active_spark_context  # noqa: SLF001 - see above
    if context is None:
        return ()
    tracker = context.statusTracker()
    stages = {stage: tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()}
    return tuple(sorted((stage, info.numCompletedTasks) for stage, info in stages.items() if info is not None))

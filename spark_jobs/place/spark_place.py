"""Spark as the place: parts are the tasks of a job, and what they measure comes back in an accumulator."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyspark import SparkContext
from pyspark.accumulators import AccumulatorParam

from spark_jobs.place.spark_context import close_context, open_context, task_slots
from spark_jobs.place.work_place import Result, Work
from spark_jobs.worker.shared import Shared
from spark_jobs.worker.telemetry import TotalsByHost, add_by_host, worker_host

if TYPE_CHECKING:
    from pyspark.accumulators import Accumulator


class AddTotals(AccumulatorParam[TotalsByHost]):
    """Adds figures by host and name; partitions computed twice count twice, so no row counts rest on it."""

    def zero(self, value: TotalsByHost) -> TotalsByHost:  # noqa: ARG002 - Spark's interface
        """Nothing measured yet."""
        return {}

    def addInPlace(self, value1: TotalsByHost, value2: TotalsByHost) -> TotalsByHost:  # noqa: N802 - Spark's interface
        """Both together."""
        return add_by_host(value1, value2)


class SparkWorkers:
    """The executors of a context."""

    def __init__(self, context: SparkContext) -> None:
        self._context = context
        self._totals = context.accumulator({}, AddTotals())
        self._slots = task_slots(context)

    @property
    def slots(self) -> int:
        """How many tasks run at the same time."""
        return self._slots

    @property
    def totals(self) -> TotalsByHost:
        """What the finished tasks have measured."""
        return self._totals.value

    def share(self, content: bytes) -> Shared:
        """A broadcast."""
        return self._context.broadcast(content)

    def hand_out(self, work: Work[Result], parts: int) -> list[Result]:
        """One task a part."""
        return self._context.parallelize(range(parts), parts).map(_measuring(work, self._totals)).collect()


class SparkPlace:
    """The Spark that the process was started by."""

    @contextmanager
    def open(self, name: str) -> Iterator[SparkWorkers]:
        """Start Spark. Raises StepFailedError when YARN has no executor for it in time."""
        context = open_context(name)
        try:
            yield SparkWorkers(context)
        finally:
            close_context(context)

    def finished(self) -> tuple[tuple[int, int], ...]:
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


def _measuring(work: Work[Result], totals: "Accumulator[TotalsByHost]") -> Callable[[int], Result]:
    def do(part: int) -> Result:
        result, measured = work(part)
        if measured:
            totals.add({worker_host(): measured})
        return result

    return do

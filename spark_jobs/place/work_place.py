"""Where the parts of a step's work are done: all that a step knows of it, whether it is Spark or processes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from spark_jobs.worker.shared import Shared
from spark_jobs.worker.telemetry import Totals, TotalsByHost

Result = TypeVar("Result")
#: What is done with a part, by its number: its result, and what was measured meanwhile. It is pickled for the workers.
Work = Callable[[int], tuple[Result, Totals]]


class Workers(Protocol):
    """The processes of a place, while a step has them."""

    @property
    def slots(self) -> int:
        """How many parts are worked on at the same time."""

    @property
    def totals(self) -> TotalsByHost:
        """What the finished parts have measured so far; a part that was done twice counts twice."""

    def share(self, content: bytes) -> Shared:
        """Bytes that every worker reads once."""

    def hand_out(self, work: Work[Result], parts: int) -> list[Result]:
        """Have the parts 0 to `parts` - 1 done, each again when its worker dies, and return their results in order.

        Raises:
            StepFailedError: a part's worker died too often; CutOffError where another place may do better.
            Exception: whatever the work of a part raised.
        """


class WorkPlace(Protocol):
    """Somewhere to work."""

    def open(self, name: str) -> AbstractContextManager[Workers]:
        """Get the workers of a step of this name, and let them go at the end."""

    def finished(self) -> object:
        """What is another after any finished part, beyond what the workers' totals tell."""

"""How long a step may work in a place that it has for a limited time."""

import time
from collections.abc import Callable

from spark_jobs.job_errors import CutOffError


class TimeLimit:
    """Counts from its making.

    Args:
        seconds: the limit; None for none.
        clock: seconds that nobody sets.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._began = clock()

    def check(self, what_is_left: str) -> None:
        """Raise CutOffError when the time is over."""
        if self._seconds is not None and self._clock() - self._began >= self._seconds:
            raise CutOffError(f"stopped after {self._seconds:.0f} s, its limit: {what_is_left}")


NO_LIMIT = TimeLimit(None)

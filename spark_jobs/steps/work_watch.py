"""Whether a step moves: since when what it has done is the same."""

import time
from collections.abc import Callable


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

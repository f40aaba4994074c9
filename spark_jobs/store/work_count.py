"""What this process has got from the object store and given to it, as a number that only work moves.

A step's progress is stored every few seconds whatever the step does, and does not count: from this number it is seen
whether the step moves at all.
"""

import threading


class WorkCount:
    """A number that any thread may raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value = 0

    @property
    def value(self) -> int:
        """How much there was so far."""
        return self._value

    def add(self) -> None:
        """Count one more."""
        with self._lock:
            self._value += 1


# One for a process, like the store's clients: every read, listing and piece of a large file that came to its end.
STORE_WORK = WorkCount()

"""Ctrl-C, SIGTERM and a closed terminal end the clusters first, and never come between a cluster and its id."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING

from tools.acceptance.probes import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """What the program does when it is told to end."""

    def __init__(self) -> None:
        self._shields = 0
        self._told: str | None = None
        self._ending = False

    @contextlib.contextmanager
    def handled(self) -> Iterator[None]:
        """Raise Stopped on the first signal, for as long as the context is open."""
        before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._told or self._ending:
            sys.stderr.write(f"{name}: the clusters are being ended already, which takes some minutes: please wait\n")
            return
        self._told = name
        self.check()

    def check(self) -> None:
        """Raise Stopped when a signal came; also one whose exception got lost in somebody's destructor."""
        if self._told and not self._shields and not self._ending:
            raise Stopped(f"interrupted ({self._told})")

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Put a signal off until the body is done: RunJobFlow's answer is a cluster's only id."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        self.check()

    def now_ending(self) -> None:
        """From now on a signal changes nothing: the clusters are being ended."""
        self._ending = True

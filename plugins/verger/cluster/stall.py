"""Whether a step stands still, from the signs of work that it leaves: pure rules, all times by AWS's clocks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from verger.cluster.progress import describe_seconds


class Sign(NamedTuple):
    """Something that only work brings about: when it happened, and what it was, in words."""

    at: datetime
    what: str


@dataclass(frozen=True)
class StallBounds:
    """How long a step may stand still.

    Attributes:
        tell: after this long, and after each multiple of it, the task's log says so.
        end: after this long the step is given up; None for never.
    """

    tell: timedelta
    end: timedelta | None

    @classmethod
    def of_minutes(cls, tell: float, end: float) -> "StallBounds":
        """The bounds of a run's settings, where an `end` of 0 means never."""
        return cls(timedelta(minutes=tell), timedelta(minutes=end) if end else None)


@dataclass(frozen=True)
class Stall:
    """How long nothing has moved, and what moved last."""

    last: Sign
    lasts: timedelta

    def times(self, bounds: StallBounds) -> int:
        """How many times over the first bound it is by now; 0 for a step that may still be at work."""
        return self.lasts // bounds.tell

    def is_over(self, bounds: StallBounds) -> bool:
        """Whether the step is to be given up."""
        return bounds.end is not None and self.lasts >= bounds.end

    def describe(self) -> str:
        """The same in words."""
        return (
            f"has not moved for {describe_seconds(self.lasts.total_seconds())}, since "
            f"{self.last.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC; last seen: {self.last.what}"
        )


def stall_of(now: datetime, started: datetime, signs: Iterable[Sign]) -> Stall:
    """How long a step that started at `started` has given no sign of work.

    What an earlier step left is older than the start, and does not count. A sign of the future, as two clocks that
    differ may give, is one of now.
    """
    last = max([Sign(started, "its start"), *signs], key=lambda sign: sign.at)
    return Stall(last, max(now - last.at, timedelta(0)))

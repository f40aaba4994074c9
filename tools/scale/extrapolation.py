"""From figures at some numbers of images to those at others, by the straight line through the last two."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Read = Callable[[Mapping[str, Any]], float]


def at(images: int, measured: Sequence[Mapping[str, Any]], read: Read) -> float:
    """The figure at a number of images: as measured, or on the line through the two largest runs; never below zero."""
    for run in measured:
        if run["images"] == images:
            return read(run)
    first, last = sorted(measured, key=lambda run: run["images"])[-2:]
    span, beyond = float(last["images"] - first["images"]), float(images - last["images"])
    return max(0.0, read(last) + (read(last) - read(first)) / span * beyond)


def bend(measured: Sequence[Mapping[str, Any]], read: Read) -> float | None:
    """How straight the line is: the last slope over the one before; None with fewer than three runs.

    About 1: an image more costs the same at every size.
    """
    runs = sorted(measured, key=lambda run: run["images"])[-3:]
    if len(runs) < 3:  # noqa: PLR2004 -- two slopes
        return None
    slopes = [
        (read(more) - read(fewer)) / (more["images"] - fewer["images"]) for fewer, more in itertools.pairwise(runs)
    ]
    return slopes[1] / slopes[0] if slopes[0] else None

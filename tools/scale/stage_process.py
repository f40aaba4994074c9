"""One stage in a process of its own: what it took in processor time and memory."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.benchmarks.measured_process import RESULT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Stopwatch:
    """Seconds of processor time: others on the machine do not count."""

    def __init__(self) -> None:
        self._last = time.process_time()

    def lap(self) -> float:
        """Since the last call."""
        now = time.process_time()
        passed, self._last = now - self._last, now
        return passed


def peak_bytes() -> int:
    """The most memory that this process has had.

    Linux tells it of the program: getrusage would count what the process was before it became this program, too.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def run_stage(stages: Mapping[str, Callable[[int], dict[str, Any]]], words: Sequence[str]) -> None:
    """Run the stage that was asked for and print its figures."""
    name, images = words
    before = peak_bytes()
    found = stages[name](int(images))
    seconds = {part: round(value, 4) for part, value in found.pop("seconds").items()}
    figures = {"images": int(images), **found, "seconds": seconds, "peak_bytes": peak_bytes(), "start_bytes": before}
    print(RESULT + json.dumps(figures))

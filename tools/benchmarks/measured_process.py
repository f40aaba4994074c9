"""Runs a program and measures it from outside: seconds, and the memory of all its processes together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROC = Path("/proc")
RESULT = "result: "
SAMPLE_SECONDS = 0.5
END_SECONDS = 10.0


class BenchError(Exception):
    """Something that was to be measured did not work; the message names its log."""


@dataclass(frozen=True)
class Measured:
    """One program's run.

    Attributes:
        seconds: from start to end.
        peak_mib: the largest sum of the resident memory of its processes, in MiB; None where there is no /proc.
        log: what it wrote.
    """

    seconds: float
    peak_mib: float | None
    log: Path

    def result(self) -> Any:  # noqa: ANN401 - whatever the program tells
        """What the program printed as JSON after `result: `, among whatever else its log holds."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        told = [line for line in lines if line.startswith(RESULT)]
        if not told:
            raise BenchError(f"a program told no result: {last_line(self.log)} (log: {self.log})")
        return json.loads(told[-1].removeprefix(RESULT))


def run_measured(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Measured:
    """Run a program to its end; it and its children end with us, too. Raises BenchError when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        memory = _MemoryWatch(process.pid)
        try:
            with memory:
                code = process.wait()
            seconds = time.perf_counter() - started
        finally:
            end_group(process)
    if code != 0:
        raise BenchError(f"{name} ended with exit code {code}: {last_line(log)} (log: {log})")
    return Measured(seconds, memory.peak_mib, log)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process and of those that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    lines = log.read_text("utf-8", errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "it wrote nothing")


class _MemoryWatch:
    """Samples the resident memory of a process and its descendants while the context is open."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak_mib: float | None = None

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        if not PROC.is_dir():
            return
        peak = 0
        while not self._over.wait(SAMPLE_SECONDS):
            peak = max(peak, sum(resident_bytes(pid) for pid in descendants(self._pid)))
        self.peak_mib = peak / 2**20


def descendants(root: int) -> set[int]:
    """A process and all that it started, directly or not."""
    parents: dict[int, int] = {}
    for entry in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(entry.parent.name)] = int(_stat_fields(entry.read_text())[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def resident_bytes(pid: int) -> int:
    """The resident memory of a process; 0 when it is gone."""
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def processor_seconds(pids: set[int]) -> float:
    """The processor time that some processes have used so far."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = _stat_fields((PROC / str(pid) / "stat").read_text())
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat_fields(stat: str) -> list[str]:
    """The fields after the name, which may hold spaces: state, parent, ... (proc(5))."""
    return stat.rpartition(")")[2].split()

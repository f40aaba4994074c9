"""Server processes of the local run: started with a log file, stopped by their id, gone when we are gone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GUARD = Path(__file__).resolve().parent / "guard.py"
STOP_SECONDS = 20.0
Found = TypeVar("Found")


class ServerError(Exception):
    """A server did not start or ended by itself; the message names its log."""


@dataclass(frozen=True)
class Server:
    """A running server process, under its guard."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Ends the process and waits for it; harmless when it has ended."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until(self, find: Callable[[str], Found | None], seconds: float) -> Found:
        """Waits until `find` gets something out of the log's text, and returns it.

        Raises ServerError when the process ends or the time is over; the process is stopped then.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            running = self.process.poll() is None  # asked first: what was logged before the end is still read
            text = self.log.read_text("utf-8", errors="replace")
            if (found := find(text)) is not None:
                return found
            if not running:
                self.stop()
                raise ServerError(f"{self.name} ended when it was started: {last_line(text)} (log: {self.log})")
            time.sleep(0.02)
        self.stop()
        raise ServerError(f"{self.name} was not ready after {seconds:.0f} s (log: {self.log})")


def last_line(text: str) -> str:
    """The last line that says something."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "it wrote nothing")


def start(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    *,
    events: bool = False,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Server:
    """Starts a command whose output goes to `log` (begun anew); with `events`, its standard output is ours to read."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), str(int(stop_signal)), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if events else output,
            stderr=output,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C reaches only the starter
        )
    return Server(name, log, process)

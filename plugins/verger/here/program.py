"""The program that does both steps on this machine, as a task runs and watches it."""

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from verger.cluster.step_logs import ERROR_MARK

log = logging.getLogger(__name__)

Outcome = Literal["done", "cut off"]
#: Exit codes of the jobs (docs/formats.md).
_REFUSED, _CUT_OFF = 2, 3
#: What a chunk that was begun in time may take longer, before the program is ended and the chunk lost.
GRACE_SECONDS = 120


class HereFailedError(RuntimeError):
    """The program could not do its work, and the message is its own; another try may."""


class HereRefusedError(HereFailedError):
    """Another try cannot do better."""


@dataclass(frozen=True)
class Program:
    """What is run.

    Attributes:
        python: with the nodes' packages.
        home: the folder of `spark_jobs/` and `plugins/`.
        processes: its workers.
        seconds: after which it stops at a commit.
        featurize, pca: the arguments of the steps.
    """

    python: Path
    home: Path
    processes: int
    seconds: int
    featurize: Sequence[str]
    pca: Sequence[str]

    @property
    def command(self) -> list[str]:
        """The command line."""
        own = ["--processes", str(self.processes), "--stop-after", str(self.seconds), "--end-with-stdin"]
        steps = ["--", "featurize", *self.featurize, "--", "pca", *self.pca]
        return [str(self.python), "-m", "spark_jobs.entry_points.here", *own, *steps]

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Its variables: the given ones, and the folders of its packages."""
        return {**environment, "PYTHONPATH": f"{self.home}:{self.home / 'plugins'}", "PYTHONUNBUFFERED": "1"}


def run_program(
    program: Program,
    environment: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
    grace_seconds: float = GRACE_SECONDS,
) -> Outcome:
    """Run the program to its end, and put each of its lines into the log.

    It dies with this process, whatever ends that: its stdin is a pipe whose other end is here.

    Raises:
        HereRefusedError: it refused its arguments or its input.
        HereFailedError: it failed.
    """
    with subprocess.Popen(  # noqa: S603 -- our own program, with arguments of our own making
        program.command,
        env=program.environment(environment),
        cwd=program.home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        lines = _Lines(process.stdout)
        try:
            end = clock() + program.seconds + grace_seconds
            while process.poll() is None and clock() < end:
                lines.wait(1.0)
            if process.poll() is None:
                log.warning("the program did not stop within %.0f s of its limit: it is ended", grace_seconds)
                return "cut off"
        finally:
            process.kill()
            lines.join()
    return _outcome(process.returncode, lines.last)


def _outcome(code: int, last: str) -> Outcome:
    reason = last.removeprefix(ERROR_MARK) or "it said nothing"
    if code == 0:
        return "done"
    if code == _CUT_OFF:
        return "cut off"
    if code == _REFUSED:
        raise HereRefusedError(reason)
    if code == -signal.SIGKILL:
        log.warning("the program was killed, for memory as a rule: another try here would end like this one")
        return "cut off"
    if code < 0:
        raise HereFailedError(f"the program was ended by signal {-code}: {reason}")
    raise HereFailedError(reason)


class _Lines:
    """Reads lines and logs them, until there are no more."""

    def __init__(self, stream: IO[str] | None) -> None:
        self.last = ""
        self._stream = stream
        self._thread = threading.Thread(target=self._read, name="here", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until the last line, or so long."""
        self._thread.join(seconds)

    def join(self) -> None:
        """Until the last line: the workers die with the program, and hold its stdout no longer than that."""
        self._thread.join(30)

    def _read(self) -> None:
        for line in self._stream or ():
            if text := line.rstrip():
                self.last = text
                log.info("%s", text)

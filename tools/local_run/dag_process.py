"""Runs the DAG in a process of its own, which may be started before all is known that the run needs, and follows it."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from typing import TYPE_CHECKING

from tools.local_run import processes
from tools.local_run.run_dag import STOP_SIGNAL
from tools.local_run.run_events import parse_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tools.local_run.run_events import Event

TICK_SECONDS = 0.25


class DagProcess:
    """A process that loads Airflow and then waits for `begin`; iterate over `events`."""

    def __init__(self, server: processes.Server, start_file: Path) -> None:
        self._server = server
        self._start_file = start_file
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self._server.process.stdout or contextlib.nullcontext(()) as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

    def begin(self, conf: Mapping[str, object], environment: Mapping[str, str]) -> None:
        """Begin the run, with these parameters and further variables of the environment."""
        half_written = self._start_file.with_suffix(".part")
        half_written.touch(mode=0o600)
        half_written.write_text(json.dumps({"conf": conf, "environment": dict(environment)}), "utf-8")
        half_written.replace(self._start_file)

    def events(self) -> Iterator[Event | None]:
        """The run's events as they come, and None every quarter of a second, until the process ends."""
        while True:
            try:
                line = self._lines.get(timeout=TICK_SECONDS)
            except queue.Empty:
                yield None
                continue
            if line is None:
                return
            yield parse_event(line.decode("utf-8"))

    def exit_code(self) -> int:
        """Waits for the end of the process."""
        return self._server.process.wait()

    def stop(self) -> None:
        """Interrupt the run, if it is not over; harmless when it is."""
        self._server.stop()
        self._start_file.unlink(missing_ok=True)


def start(python: Path, environment: Mapping[str, str], log: Path) -> DagProcess:
    """Start the process; it is the caller's to stop."""
    start_file = log.with_suffix(".start")
    start_file.unlink(missing_ok=True)
    command = [str(python), "-m", "tools.local_run.run_dag", "--start-file", str(start_file)]
    server = processes.start("the DAG's run", command, environment, log, events=True, stop_signal=STOP_SIGNAL)
    return DagProcess(server, start_file)


@contextlib.contextmanager
def running(
    python: Path, conf: Mapping[str, object], environment: Mapping[str, str], log: Path
) -> Iterator[DagProcess]:
    """Runs the DAG with these parameters; a run that is not over when the context closes is interrupted."""
    process = start(python, environment, log)
    try:
        process.begin(conf, {})
        yield process
    finally:
        process.stop()

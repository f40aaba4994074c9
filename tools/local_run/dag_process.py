"""Runs the DAG in a process of its own and follows it."""

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
    """A running run of the DAG; iterate over `events`."""

    def __init__(self, server: processes.Server) -> None:
        self._server = server
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self._server.process.stdout or contextlib.nullcontext(()) as output:
            for line in output:
                self._lines.put(line)
        self._lines.put(None)

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


@contextlib.contextmanager
def running(
    python: Path, conf: Mapping[str, object], environment: Mapping[str, str], log: Path
) -> Iterator[DagProcess]:
    """Runs the DAG with these parameters; a run that is not over when the context closes is interrupted."""
    command = [str(python), "-m", "tools.local_run.run_dag", "--conf", json.dumps(conf)]
    server = processes.start("the DAG's run", command, environment, log, events=True, stop_signal=STOP_SIGNAL)
    try:
        yield DagProcess(server)
    finally:
        server.stop()

"""A job: one bootstrap action or step on a node, from its downloads to its last log."""

from __future__ import annotations

import shlex
import threading
from typing import TYPE_CHECKING

from local_emr.model import CancelOption
from local_emr.node import Command, Node, NodeLostError, Running, StartError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local_emr.job_logs import JobLogs
    from local_emr.spark_submit import LocalCommand
    from local_emr.storage import Storage

CANCELLED_BEFORE_START = -15  # as if SIGTERM had ended it
_EXECUTABLE = 0o755


class Job:
    """Runs one command on a node, its logs stored again and again while it runs."""

    def __init__(
        self, name: str, node: Node, logs: JobLogs, storage: Storage, log_seconds: float, step: str | None = None
    ) -> None:
        """Start nothing yet; `step` is the step's name, none for a bootstrap action."""
        self._name = name
        self._step = step
        self._node = node
        self._logs = logs
        self._storage = storage
        self._log_seconds = log_seconds
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._cancelled = False

    def run(self, command: LocalCommand, env: Mapping[str, str], cwd: Path, *, sweep: bool) -> int:
        """Download, start, wait; the exit code (negative: a signal's number).

        Raises:
            StorageError: A download failed.
            StartError: There is no such program.
            NodeLostError: The node went away.
        """
        try:
            return self._run(command, env, cwd, sweep=sweep)
        except NodeLostError:
            self._logs.note("the node went away")
            raise
        finally:
            self._logs.publish_last()

    def _run(self, command: LocalCommand, env: Mapping[str, str], cwd: Path, *, sweep: bool) -> int:
        for download in command.downloads:
            self._logs.note(f"Fetching {download.uri} to {download.to}")
            self._storage.download(download.uri, download.to)
            download.to.chmod(_EXECUTABLE)
        cwd.mkdir(parents=True, exist_ok=True)
        self._logs.note(f"startExec {shlex.join(command.argv)}")
        job = Command(
            name=self._name,
            argv=command.argv,
            env={**env, **command.env},
            cwd=cwd,
            stdout=self._logs.stdout,
            stderr=self._logs.stderr,
            sweep=sweep,
            step=self._step,
        )
        with self._lock:
            if self._cancelled:
                return CANCELLED_BEFORE_START
            try:
                self._running = self._node.run(job)
            except StartError as error:
                self._logs.note(f"Failed to start: {error}")
                raise
        self._logs.note(f"ProcessRunner started child process : {self._running.pid}")
        while (code := self._running.wait(self._log_seconds)) is None:
            self._logs.publish()
        self._logs.note(f"waitProcessCompletion ended with exit code {code}")
        return code

    def cancel(self, option: CancelOption) -> None:
        """Ask the command to end, or end it; one that has not been started will not be."""
        with self._lock:
            self._cancelled = True
            running = self._running
        if running is None:
            return
        self._logs.note(f"cancel requested : {option}")
        if option is CancelOption.TERMINATE_PROCESS:
            running.kill()
        else:
            running.interrupt()

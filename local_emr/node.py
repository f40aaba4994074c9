"""The node of a cluster as the server sees it: a place where commands run, and end."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from local_emr import process_table
from local_emr.node_supervisor import NODE_MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)
_PROJECT = Path(__file__).parent.parent
_POLL_SECONDS = 0.02


class NodeLostError(RuntimeError):
    """The node, or what ran on it, is gone without having been asked to go."""


class StartError(RuntimeError):
    """A command could not be started; the message is the system's."""


@dataclass(frozen=True)
class Command:
    """A command for a node; its output is appended to the two files.

    Attributes:
        sweep: End what the command leaves behind in its session (a step), or let it live as long as the node (a
            bootstrap action may start a service).
        step: The step's name; none for a bootstrap action.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    stdout: Path
    stderr: Path
    sweep: bool
    step: str | None = None


class Running(Protocol):
    """A command that runs."""

    @property
    def pid(self) -> int:
        """The process id of the command."""

    def wait(self, timeout: float | None) -> int | None:
        """The exit code (negative: the signal that ended it), or none after `timeout` seconds.

        Raises:
            NodeLostError: The node went away first.
        """

    def interrupt(self) -> None:
        """SIGTERM to the command's own process, as EMR's SEND_INTERRUPT."""

    def kill(self) -> None:
        """SIGKILL to the command and everything below it, as EMR's TERMINATE_PROCESS."""

    def freeze(self) -> None:
        """SIGSTOP to the command and everything below it: it hangs."""


class Node(Protocol):
    """A machine that runs commands. Faults are put in by wrapping one (`faulty_node.py`)."""

    @property
    def root(self) -> Path:
        """The folder that plays the node's root directory."""

    def run(self, command: Command) -> Running:
        """Start a command.

        Raises:
            StartError: The program cannot be started.
            NodeLostError: The node is gone.
        """

    def stop(self, grace: float) -> None:
        """End every process of the node (SIGTERM, after `grace` seconds SIGKILL) and wait until they have ended."""

    def vanish(self) -> None:
        """Go away at once with everything that runs, without having been asked to, as a machine that fails."""


@dataclass
class _ProcessRunning:
    node: ProcessNode
    name: str
    pid: int = 0
    code: int | None = None
    error: str | None = None
    lost: bool = False
    begun: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def wait(self, timeout: float | None) -> int | None:
        if not self.over.wait(timeout):
            return None
        if self.lost:
            raise NodeLostError(f"the node went away while {self.name} ran on it")
        return self.code

    def interrupt(self) -> None:
        self.node.request({"op": "signal", "id": self.name, "signal": int(signal.SIGTERM), "tree": False})

    def kill(self) -> None:
        self._signal_all(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal_all(signal.SIGSTOP)

    def _signal_all(self, number: signal.Signals) -> None:
        self.node.request({"op": "signal", "id": self.name, "signal": int(number), "tree": True})


class ProcessNode:
    """A node that is a process of this machine (`node_supervisor.py`) with everything it started below it."""

    def __init__(self, root: Path, on_lost: Callable[[], None]) -> None:
        """Start it; `on_lost` is called when it ends without having been stopped."""
        self.root = root
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._running: dict[str, _ProcessRunning] = {}
        self._stopping = False
        self._gone = False
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-m", "local_emr.node_supervisor"],
            cwd=_PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_events, name=f"node-{self._process.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id of the node's supervisor."""
        return self._process.pid

    def run(self, command: Command) -> _ProcessRunning:
        """Start a command (see `Node.run`)."""
        running = _ProcessRunning(self, command.name)
        with self._lock:
            if self._gone:
                raise NodeLostError(f"the node went away before {command.name} was started")
            self._running[command.name] = running
        self.request(
            {
                "op": "run",
                "id": command.name,
                "argv": command.argv,
                "env": dict(command.env),
                "cwd": str(command.cwd),
                "stdout": str(command.stdout),
                "stderr": str(command.stderr),
                "sweep": command.sweep,
            }
        )
        running.begun.wait()
        if running.error is not None:
            raise StartError(running.error)
        if running.lost:
            raise NodeLostError(f"the node went away before {command.name} was started")
        return running

    def request(self, message: dict[str, Any]) -> None:
        """Send one request; a node that is gone does not hear it, and its reader says so."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._input.write(json.dumps(message).encode() + b"\n")
            self._input.flush()

    def stop(self, grace: float) -> None:
        """End every process of the node and wait for it (see `Node.stop`)."""
        self._stopping = True
        self.request({"op": "stop", "grace": grace})
        self._process.wait()
        self._reader.join()

    def vanish(self) -> None:
        """Go away at once (see `Node.vanish`)."""
        self._process.kill()

    @property
    def _input(self) -> IO[bytes]:
        if self._process.stdin is None:
            raise RuntimeError("the node was started without a pipe")
        return self._process.stdin

    def _read_events(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("the node was started without a pipe")
        with self._process.stdout as events:
            for line in events:
                self._note(json.loads(line))
        self._end_of_node()

    def _note(self, event: dict[str, Any]) -> None:
        with self._lock:
            running = self._running[event["id"]]
            if event["event"] == "started":
                running.pid = event["pid"]
            else:
                del self._running[event["id"]]
                running.code = event.get("code")
                running.error = event.get("error")
        if event["event"] != "started":
            running.over.set()
        running.begun.set()

    def _end_of_node(self) -> None:
        self._process.wait()
        with contextlib.suppress(OSError):
            self._input.close()
        with self._lock:
            self._gone = True
            left, self._running = list(self._running.values()), {}
        # A supervisor that was killed could not take its processes with it. They are found by the mark that each of
        # them has from it: a YARN container is in a session of its own and has another parent by now.
        mark = (NODE_MARK, str(self._process.pid))
        while marked := process_table.with_variable(*mark, process_table.processes()):
            process_table.send(marked, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        for running in left:
            running.lost = True
            running.over.set()
            running.begun.set()
        if not self._stopping:
            _log.warning("the node with process id %s is gone", self._process.pid)
            self._on_lost()

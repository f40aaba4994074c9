"""The program that plays a cluster's node: it starts the node's processes, and none of them outlives it.

It needs nothing but the standard library. Requests come in as lines of JSON, events go out as lines of JSON. When its
standard input ends (its server is gone, however it went, even by SIGKILL) or it is told to stop, it ends every process
below itself. As a child subreaper (Linux) it becomes the parent of what detached itself, so that ends too.

    {"op": "run", "id": "s-1", "argv": [...], "env": {...}, "cwd": "...", "stdout": "...", "stderr": "...",
     "sweep": true}
    {"op": "signal", "id": "s-1", "signal": 15, "tree": false}
    {"op": "stop", "grace": 5.0}
    -> {"event": "started", "id": "s-1", "pid": 4711}
    -> {"event": "exited", "id": "s-1", "code": 0}          a signal's number, negated, when one ended it
    -> {"event": "refused", "id": "s-1", "error": "..."}    it could not be started
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from typing import Any

from local_emr import process_table

#: The variable by which every process of a node is known: its value is the id of this program's process.
NODE_MARK = "LOCAL_EMR_NODE_PID"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
_GRACE_WITHOUT_SERVER = 2.0  # seconds between SIGTERM and SIGKILL when nobody is there to say
_POLL = 0.02  # seconds between two looks at what is still alive


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Node:
    """The processes that this node started, by the id of their request."""

    def __init__(self) -> None:
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._sweep: set[str] = set()

    def handle(self, request: dict[str, Any]) -> float | None:
        """Do what one request says; the grace in seconds if it says to stop."""
        if request["op"] == "run":
            self._run(request)
        elif request["op"] == "signal":
            self._signal(request["id"], signal.Signals(request["signal"]), tree=request["tree"])
        elif request["op"] == "stop":
            return float(request["grace"])
        return None

    def _run(self, request: dict[str, Any]) -> None:
        try:
            with open(request["stdout"], "ab") as out, open(request["stderr"], "ab") as err:  # noqa: PTH123 - as given
                process = subprocess.Popen(  # noqa: S603 - running what the step says is the purpose
                    request["argv"],
                    env={**request["env"], NODE_MARK: str(os.getpid())},
                    cwd=request["cwd"],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509 - safe: this program has one thread
                )
        except (OSError, subprocess.SubprocessError) as error:
            _tell({"event": "refused", "id": request["id"], "error": str(error)})
            return
        self._running[request["id"]] = process
        if request["sweep"]:
            self._sweep.add(request["id"])
        _tell({"event": "started", "id": request["id"], "pid": process.pid})

    def _signal(self, name: str, number: signal.Signals, *, tree: bool) -> None:
        process = self._running.get(name)
        if process is None:
            return
        pids = [process.pid]
        if tree:
            table = process_table.processes()
            pids += process_table.descendants(process.pid, table)
            pids += [other for other in process_table.in_session(process.pid, table) if other not in pids]
        process_table.send(pids, number)

    def reap(self) -> None:
        """Collect every process that has ended; tell of those that were asked for."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for name, process in list(self._running.items()):
                if process.pid == pid:
                    self._ended(name, process, os.waitstatus_to_exitcode(status))

    def _ended(self, name: str, process: subprocess.Popen[bytes], code: int) -> None:
        process.returncode = code
        del self._running[name]
        # What the command left in its session ends with it, as YARN ends the processes of a container.
        if name in self._sweep:
            process_table.send(process_table.in_session(process.pid, process_table.processes()), signal.SIGKILL)
        _tell({"event": "exited", "id": name, "code": code})

    def stop(self, grace: float) -> None:
        """End everything below this process: SIGTERM, and after `grace` seconds SIGKILL."""
        deadline = time.monotonic() + grace
        asked: set[int] = set()
        while alive := process_table.descendants(os.getpid(), process_table.processes()):
            if time.monotonic() >= deadline:
                process_table.send(alive, signal.SIGKILL)
            else:
                process_table.send([pid for pid in alive if pid not in asked], signal.SIGTERM)
                asked.update(alive)
            time.sleep(_POLL)
            self.reap()
        self.reap()


def _tell(event: dict[str, object]) -> None:
    try:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The server is gone; the end of our input, which follows, stops the node.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _wake_on(numbers: list[signal.Signals]) -> int:
    """A pipe that becomes readable when one of these signals comes; its bytes are the signals' numbers."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return read_end


def main() -> None:
    """Serve requests until the input ends or a stop is asked for."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    node = _Node()
    signals = _wake_on([signal.SIGCHLD, signal.SIGTERM, signal.SIGINT])
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    selector.register(signals, selectors.EVENT_READ)
    grace: float | None = None
    pending = b""
    while grace is None:
        for key, _ in selector.select():
            data = os.read(key.fd, 65536)
            if key.fd == signals:
                node.reap()
                if {signal.SIGTERM, signal.SIGINT} & set(data):
                    grace = _GRACE_WITHOUT_SERVER
                continue
            if not data:
                grace = _GRACE_WITHOUT_SERVER
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                asked = node.handle(json.loads(line))
                grace = asked if asked is not None else grace
    node.stop(grace)


if __name__ == "__main__":
    main()

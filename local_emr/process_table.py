"""Which processes there are, and which descend from which. Standard library only: the node's own program uses it."""

from __future__ import annotations

import contextlib
import os
import signal  # noqa: TC003 - a block for types would be one more import at the start of every node
import subprocess
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One live process; `session` is its process group where the system has no /proc."""

    pid: int
    parent: int
    session: int


def processes() -> list[Process]:
    """Every live process of this machine; zombies are not alive."""
    return _from_proc() if Path("/proc/self/stat").exists() else _from_ps()


def _from_proc() -> list[Process]:
    table = []
    for entry in os.listdir("/proc"):  # noqa: PTH208 - thousands of Path objects for names would be waste
        if not entry.isdecimal():
            continue
        # A process may end between the listing and the reading.
        with contextlib.suppress(OSError):
            stat = Path("/proc", entry, "stat").read_text(errors="replace")
            # The name, in parentheses, may hold anything: the fields begin after the last one.
            state, parent, _group, session = stat.rpartition(")")[2].split()[:4]
            if state not in "ZX":
                table.append(Process(int(entry), int(parent), int(session)))
    return table


def _from_ps() -> list[Process]:
    listing = subprocess.run(["/bin/ps", "-axo", "pid=,ppid=,pgid=,state="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listing.stdout.splitlines()]
    return [Process(int(pid), int(parent), int(group)) for pid, parent, group, state in rows if state[0] != "Z"]


def descendants(of: int, table: list[Process]) -> set[int]:
    """The ids of all processes below `of`, itself not included."""
    children: dict[int, list[int]] = {}
    for process in table:
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    open_ends = [of]
    while open_ends:
        for child in children.get(open_ends.pop(), []):
            if child not in found:
                found.add(child)
                open_ends.append(child)
    return found


def in_session(session: int, table: list[Process]) -> set[int]:
    """The ids of the processes of one session, whoever their parents are."""
    return {process.pid for process in table if process.session == session}


def with_variable(name: str, value: str, table: list[Process]) -> set[int]:
    """The ids of the processes that were started with this variable in their environment (Linux only)."""
    wanted = f"{name}={value}".encode()
    found = set()
    for process in table:
        # It may have ended, or be somebody else's.
        with contextlib.suppress(OSError):
            if wanted in Path("/proc", str(process.pid), "environ").read_bytes().split(b"\0"):
                found.add(process.pid)
    return found


def send(pids: set[int], number: signal.Signals) -> None:
    """Signal these processes; those that have ended meanwhile do not matter."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

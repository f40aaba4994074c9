"""Which processes there are, and which descend from which. Standard library only: the node's own program uses it."""

from __future__ import annotations

import contextlib
import os
import signal  # noqa: TC003 - a block for types would be one more import at the start of every node
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Process(NamedTuple):
    """One live process; `session` is its process group where the system has no /proc."""

    pid: int
    parent: int
    session: int


def processes() -> list[Process]:
    """Every live process of this machine, each after its parent; zombies are not alive."""
    return parents_first(_from_proc() if Path("/proc/self/stat").exists() else _from_ps())


def parents_first(table: list[Process]) -> list[Process]:
    """The same processes, each after its parent.

    Whoever signals them in this order never lets a parent see its child end before its own signal comes: a shell whose
    command was killed first would go on, and could end well.
    """
    known = {process.pid for process in table}
    children: dict[int, list[Process]] = {}
    for process in table:
        # The first process of a system is its own parent, or has one that is not listed (0).
        orphan = process.parent not in known or process.parent == process.pid
        children.setdefault(0 if orphan else process.parent, []).append(process)
    ordered = children.pop(0, [])
    for process in ordered:
        ordered += children.pop(process.pid, []) if process.pid else []
    # The table is not of one moment: an id that was given again meanwhile can make a circle, which nothing leads to.
    return ordered + [process for circle in children.values() for process in circle if process not in ordered]


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


def descendants(of: int, table: list[Process]) -> list[int]:
    """The ids of all processes below `of`, itself not included, in the order of `table` (parents first)."""
    found = {of}
    below = []
    for process in table:
        if process.parent in found and process.pid != of:
            found.add(process.pid)
            below.append(process.pid)
    return below


def in_session(session: int, table: list[Process]) -> list[int]:
    """The ids of the processes of one session, whoever their parents are, in the order of `table`."""
    return [process.pid for process in table if process.session == session]


def with_variable(name: str, value: str, table: list[Process]) -> list[int]:
    """The ids of the processes that were started with this variable in their environment (Linux only)."""
    wanted = f"{name}={value}".encode()
    found = []
    for process in table:
        # It may have ended, or be somebody else's.
        with contextlib.suppress(OSError):
            if wanted in Path("/proc", str(process.pid), "environ").read_bytes().split(b"\0"):
                found.append(process.pid)
    return found


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """Signal these processes in this order; those that have ended meanwhile do not matter."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

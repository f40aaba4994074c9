"""Which processes there are, and the order in which they are signalled."""

from __future__ import annotations

import os
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from local_emr.process_table import Process, descendants, parents_first, processes
from tests.local_emr.conftest import wait_until

# Ids that are their own parent, whose parent is not listed or that lead to each other in a circle are all drawn.
TABLES = st.dictionaries(st.integers(1, 40), st.integers(0, 40), max_size=40).map(
    lambda parents: [Process(pid, parent, 1) for pid, parent in parents.items()]
)


def leads_up_to_a_root(pid: int, parent_of: dict[int, int]) -> bool:
    for _ in parent_of:
        if parent_of[pid] == pid or parent_of[pid] not in parent_of:
            return True
        pid = parent_of[pid]
    return False


@given(TABLES)
def test_every_process_comes_once_and_after_its_parent(table: list[Process]) -> None:
    ordered = parents_first(table)
    assert sorted(ordered) == sorted(table)
    parent_of = {process.pid: process.parent for process in table}
    place = {process.pid: number for number, process in enumerate(ordered)}
    for process in ordered:
        if process.parent in place and process.parent != process.pid and leads_up_to_a_root(process.pid, parent_of):
            assert place[process.parent] < place[process.pid]


def test_those_below_a_process_are_found_whatever_their_depth_and_the_nearest_first() -> None:
    script = "sh -c 'sleep 600 & wait' & wait"
    with subprocess.Popen(["sh", "-c", script], start_new_session=True) as shell:
        try:
            wait_until(lambda: len(descendants(shell.pid, processes())) == 2)
            table = processes()
            child, grandchild = descendants(shell.pid, table)
            parents = {process.pid: process.parent for process in table}
            assert (parents[child], parents[grandchild]) == (shell.pid, child)
            assert shell.pid in descendants(os.getpid(), table)
        finally:
            os.killpg(shell.pid, 9)

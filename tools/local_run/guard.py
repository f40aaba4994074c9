"""Runs one command that must not outlive whoever started it.

    python -I guard.py SIGNAL COMMAND ...     with a pipe as standard input that the starter keeps open

When the pipe closes (the starter ended, however it ended) or when the guard is told to stop, the command gets SIGNAL (a
number), and SIGKILL after a while; what it started itself and left in its process group is then killed as well. Where
the system offers it (Linux), the command also dies with a killed guard.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

GRACE_SECONDS = 15.0
PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def _die_with_the_guard() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(stop_signal: int, command: list[str]) -> int:
    """Runs the command until it ends or must end. Returns its exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the starter, who stops things in order
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_the_guard if sys.platform == "linux" else None,  # noqa: PLW1509 (no threads yet)
    )

    told = threading.Event()

    def stop(_signal: int = 0, _frame: FrameType | None = None) -> None:
        told.set()
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(stop_signal)
        killer = threading.Timer(GRACE_SECONDS, child.kill)
        killer.daemon = True
        killer.start()

    def stop_at_end_of_input() -> None:
        while os.read(sys.stdin.fileno(), 1024):  # not sys.stdin: Python would wait for its lock at the end
            pass
        stop()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=stop_at_end_of_input, daemon=True).start()
    code = child.wait()
    if told.is_set() and os.getpgrp() == os.getpid():  # the group is ours alone, and whoever told us knows the outcome
        os.killpg(os.getpid(), signal.SIGKILL)
    return code


if __name__ == "__main__":
    sys.exit(abs(main(int(sys.argv[1]), sys.argv[2:])))

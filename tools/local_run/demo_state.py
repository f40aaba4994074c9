"""The folder `.demo/`: what one demo leaves for the next."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

KEPT_LOGS = 10
DRAWN_SEED = 1
DRAWN_LABELS = 12


class StateError(Exception):
    """The state folder cannot be used; the message says why."""


@dataclass(frozen=True)
class DemoState:
    """The state folder and what lies in it."""

    folder: Path

    @property
    def drawn(self) -> Path:
        """The pictures that were drawn because none were given."""
        return self.folder / "drawn"

    @contextlib.contextmanager
    def locked(self) -> Iterator[DemoState]:
        """Makes sure that one demo at a time uses the folder. Raises StateError when another one does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateError(f"another demo uses {self.folder} right now: wait until it has ended") from None
            yield self

    def new_logs(self) -> Path:
        """An empty folder for this demo's logs; the oldest ones are removed."""
        parent = self.folder / "logs"
        logs = parent / dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
        logs.mkdir(parents=True)
        for old in sorted(parent.iterdir())[:-KEPT_LOGS]:
            shutil.rmtree(old)
        return logs


def draw_once(state: DemoState, images: int, project: Path, console: Console) -> Path:
    """Draws labelled pictures unless they are there, and returns their folder. Raises StateError."""
    if state.drawn.is_dir():
        return state.drawn
    console.print(f"No IMAGES given: drawing {images} pictures of fruit", highlight=False)
    fresh = state.folder / "drawn.new"
    shutil.rmtree(fresh, ignore_errors=True)
    command = [sys.executable, str(project / "tools" / "draw_images.py"), "--output", str(fresh)]
    command += ["--images", str(images), "--labels", str(DRAWN_LABELS), "--seed", str(DRAWN_SEED)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise StateError(f"the pictures could not be drawn: {reason}")
    fresh.rename(state.drawn)
    return state.drawn

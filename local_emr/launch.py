"""A local EMR as a child process, which ends with the process that started it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_emr.settings import LocalEmrSettings

ANNOUNCEMENT = "local EMR and S3: "
_STOP_SECONDS = 30.0  # beyond the grace of the clusters that still run


class StartupError(RuntimeError):
    """The server did not come up; its own output says why."""


@contextmanager
def running(
    settings: LocalEmrSettings, python: Path = Path(sys.executable), log_file: Path | None = None
) -> Iterator[str]:
    """A local EMR as a child process; gives its endpoint.

    Args:
        settings: How it runs.
        python: The interpreter of an environment with moto and boto3.
        log_file: Takes what the server says (appended); none leaves it on standard error.

    Raises:
        StartupError: It did not start.
    """
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(log_file.open("ab")) if log_file else None
        server = subprocess.Popen(  # noqa: S603 - our own program
            [str(python), "-m", "local_emr", "--settings-from-stdin"],
            cwd=Path(__file__).parent.parent,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # Ctrl-C is for the caller, which then stops the server: its clusters end in order.
            start_new_session=True,
        )
        stack.callback(_stop, server, settings.grace_seconds + _STOP_SECONDS)
        yield _endpoint(server, settings)


def _environment() -> dict[str, str]:
    """The server needs no more than Python does: what its clusters get stands in the settings."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _endpoint(server: subprocess.Popen[str], settings: LocalEmrSettings) -> str:
    if server.stdin is None or server.stdout is None:
        raise StartupError("the local EMR was started without pipes")
    with contextlib.suppress(BrokenPipeError):
        # The pipe stays open: its end is what tells the server that its caller is gone.
        server.stdin.write(settings.to_json() + "\n")
        server.stdin.flush()
    line = server.stdout.readline()
    if not line.startswith(ANNOUNCEMENT):
        raise StartupError(f"the local EMR ended with exit code {server.wait()}; its output says why")
    return line.removeprefix(ANNOUNCEMENT).strip()


def _stop(server: subprocess.Popen[str], timeout: float) -> None:
    for pipe in (server.stdin, server.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    try:
        server.wait(timeout)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()

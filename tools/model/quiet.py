"""Keeps TensorFlow's chatter off the terminal, and shows it when something went wrong."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING

from tools.model.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAIL_BYTES = 4000


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Sends what this process writes to stdout and stderr, from C++ too, to a file.

    An exception that is not a `RefusedError` brings the file's end to stderr.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 1)
        os.dup2(noise.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        except RefusedError:
            failed = False
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, saved in enumerate(kept, start=1):
                os.dup2(saved, descriptor)
                os.close(saved)
            if failed:
                noise.seek(max(0, noise.seek(0, os.SEEK_END) - _TAIL_BYTES))
                sys.stderr.write(noise.read().decode(errors="replace"))

"""Files of a folder that somebody else fills: whatever lies there, nothing outside of it is opened."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from verger.sync.pictures import UnreadableError

LEADS_NOWHERE = "a link that leads nowhere"
LEAVES = "a link that leaves the folder"
NOT_A_FILE = "neither a file nor a folder"
#: What the system says of a link where none may be: of one at the end of a path, and of one on the way.
_IS_LINK = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK})
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO waits for somebody to write to it.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def open_inside(root: Path, name: str) -> Iterator[BinaryIO]:
    """Open a regular file below a resolved folder; raises UnreadableError.

    A link is resolved first, and only to a place in the folder; what is then opened is opened folder by folder without
    following any link. So it does not matter when a file or a folder on the way is swapped for a link meanwhile.
    """
    try:
        try:
            descriptor = _open_plain(root, name, _FILE)
        except OSError as error:
            if error.errno not in _IS_LINK:
                raise
            descriptor = _open_plain(root, target_inside(root, name), _FILE)
    except OSError as error:
        raise UnreadableError(_reason(error)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableError(NOT_A_FILE)
    with os.fdopen(descriptor, "rb") as file:
        yield file


@contextmanager
def scan_inside(root: Path, name: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What a folder below a resolved folder holds (`name` may be empty); raises UnreadableError, follows no link."""
    try:
        descriptor = _open_plain(root, name, _FOLDER)
    except OSError as error:
        raise UnreadableError(_reason(error)) from error
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    finally:
        os.close(descriptor)


def target_inside(root: Path, name: str) -> str:
    """Where a link below a resolved folder leads, as a name below it, free of links; raises UnreadableError."""
    try:
        target = Path(os.path.realpath(root / name, strict=True))
    except (OSError, ValueError) as error:
        raise UnreadableError(LEADS_NOWHERE) from error
    if not target.is_relative_to(root):
        raise UnreadableError(LEAVES)
    return target.relative_to(root).as_posix()


def _open_plain(root: Path, name: str, flags: int) -> int:
    """A descriptor of what is at a name; each step of the way must be a folder, the end what `flags` ask for."""
    *way, last = PurePosixPath(name).parts or (".",)
    place = os.open(root, _FOLDER)
    try:
        for folder in way:
            inner = os.open(folder, _FOLDER, dir_fd=place)
            os.close(place)
            place = inner
        return os.open(last, flags, dir_fd=place)
    finally:
        os.close(place)


def _reason(error: OSError) -> str:
    if error.errno in _IS_LINK:
        return "a link since it was listed"
    if error.errno == errno.ENXIO:  # a socket
        return NOT_A_FILE
    return f"it cannot be read ({os.strerror(error.errno or 0)})"

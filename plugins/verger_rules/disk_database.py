"""A database in a folder of this machine's disk, for lists that its memory could not hold: DuckDB."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

#: Less room than this is not begun with.
LEAST_ROOM_MIB = 256
#: Each thread of a sort or a join holds some of the memory: with more, a small limit would not suffice.
MOST_THREADS = 4
_MIB = 2**20
_PREFIX = "verger-lists-"
#: Locked for as long as the process lives that works in the folder.
_LOCK = "lock"
#: A folder as young as this may belong to somebody who has not locked it yet.
_YOUNG_SECONDS = 60.0


class DiskDatabaseError(ValueError):
    """The machine's disk does not have what is needed; the message says what to do."""


@dataclass(frozen=True)
class DiskLimits:
    """What a database may use of its machine.

    Attributes:
        folder: where it works.
        memory_mib: of the database; what does not fit goes to the folder. The process itself takes some 300 MiB more.
        folder_setting, memory_setting: what names another folder, and allows more memory.
    """

    folder: Path
    memory_mib: int
    folder_setting: str
    memory_setting: str

    @property
    def another_folder(self) -> str:
        """What to do where the folder cannot be used."""
        return f"name another folder of this machine in {self.folder_setting}"


@dataclass(frozen=True)
class DiskDatabase:
    """An open database, and the folder that it and files beside it lie in."""

    folder: Path
    database: "duckdb.DuckDBPyConnection"
    limits: DiskLimits

    def execute(self, query: str, values: Sequence[Any] | dict[str, Any] = ()) -> None:
        """Run a statement."""
        self.database.execute(query, values or None)

    def add(self, table: str, batch: pa.Table | pa.RecordBatch | pa.RecordBatchReader) -> None:
        """Append rows to a table of the database; the columns are the table's, in its order."""
        with self.shown("added", batch):
            self.database.execute(f"INSERT INTO {table} SELECT * FROM added")  # noqa: S608 -- our own names

    @contextmanager
    def shown(self, name: str, batch: pa.Table | pa.RecordBatch | pa.RecordBatchReader) -> Iterator[None]:
        """Let queries see some rows under a name, for as long as the context is open."""
        self.database.register(name, batch)
        try:
            yield
        finally:
            self.database.unregister(name)

    def row(self, query: str, values: Sequence[Any] | dict[str, Any] = ()) -> tuple[Any, ...]:
        """The one row that a query finds."""
        # All of them: a result that is not read to its end keeps the connection from other work.
        found: list[tuple[Any, ...]] = self.database.execute(query, values or None).fetchall()
        if len(found) != 1:
            raise LookupError(f"{len(found)} rows: {query}")
        return found[0]

    def batches(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """What a query finds, so many rows at a time; read to the end before anything else is asked.

        A query with parameters would be worked out as a whole first: it has none.
        """
        yield from self.database.sql(query).to_arrow_reader(rows)

    def check_room(self, needed: int) -> None:
        """Raise DiskDatabaseError unless the disk has room for so many bytes."""
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise DiskDatabaseError(
                f"{self.folder} has {free / _MIB:,.0f} MiB free, and this run needs about {needed / _MIB:,.0f}: "
                f"free some, or {self.limits.another_folder}"
            )


@contextmanager
def disk_database(limits: DiskLimits) -> Iterator[DiskDatabase]:
    """Open an empty database for as long as the context is open; nothing of it stays.

    Raises DiskDatabaseError when the folder is not there, cannot be written, or has no room, first or later.
    """
    # A tenth of a second that every reading of a DAG, and every worker, does without.
    import duckdb  # noqa: PLC0415

    _remove_abandoned(limits.folder)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=limits.folder))
    except OSError as error:
        raise DiskDatabaseError(
            f"lists cannot be worked on in {limits.folder.absolute()} ({error.strerror}): make that folder, or "
            f"{limits.another_folder}"
        ) from error
    try:
        with (
            (folder / _LOCK).open("w") as lock,
            duckdb.connect(folder / "lists.duckdb", config=_config(folder, limits)) as database,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            opened = DiskDatabase(folder, database, limits)
            opened.check_room(LEAST_ROOM_MIB * _MIB)
            yield opened
    except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
        if (said := _of_room(error, folder, limits)) is None:
            raise
        raise DiskDatabaseError(said) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes that were killed: some hold gigabytes, and nobody else would."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
                continue
            with (folder / _LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


def _config(folder: Path, limits: DiskLimits) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": f"{limits.memory_mib}MiB",
        "threads": str(min(MOST_THREADS, os.cpu_count() or 1)),
        "temp_directory": str(folder / "spilled"),
        # What must be in an order says so; keeping any other takes memory.
        "preserve_insertion_order": "false",
        # Nothing is fetched, and nobody's own files are read: what stands in a key is data.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }


def _of_room(error: Exception, folder: Path, limits: DiskLimits) -> str | None:
    """What to tell of an error of a full disk or of too little memory; None of any other."""
    said = str(error).partition("\n")[0]
    if isinstance(error, OSError) and error.errno != errno.ENOSPC:
        return None
    # What is full may be another place than the folder: a file beside it that was being written.
    place = getattr(error, "filename", None) or folder
    if isinstance(error, OSError) or any(words in str(error) for words in _FULL_DISK):
        return f"there is no room left in {place}: {said}. Free some, or {limits.another_folder}"
    if type(error).__name__ == "OutOfMemoryException":
        return f"the memory does not suffice: {said}. Set {limits.memory_setting} higher, or {limits.another_folder}"
    return None


_FULL_DISK = ("No space left on device", "failed to offload", "max_temp_directory_size")

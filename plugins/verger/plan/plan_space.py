"""Where a plan works on lists that memory could not hold: a DuckDB database in a folder of this machine's disk."""

import contextlib
import errno
import fcntl
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

#: What a plan is made from. `listed`: the pictures, and what may be one; `readable`: whether the nodes can read it by
#: its key. `done`: rows of the feature table, with the etag that the picture was read under; `current`: this version of
#: the decoder made it, and one of another version answers nothing. `previous`: the list of the run before.
TABLES = {
    "listed": "path VARCHAR, etag VARCHAR, label VARCHAR, size BIGINT, readable BOOLEAN",
    "done": "path VARCHAR, etag VARCHAR, featurized BOOLEAN, current BOOLEAN",
    "previous": "path VARCHAR",
}
#: Less room than this is not begun with.
LEAST_ROOM_MIB = 256
#: What an image takes on the disk while a run is planned, with keys of 76 characters: 144 bytes in the database and the
#: frozen list (measured at ten million: `make scale`), the rest for what sorting and joining spill.
BYTES_PER_IMAGE = 600
_MIB = 2**20


class PlanSpaceError(ValueError):
    """The machine's disk does not have what a plan needs; the message says what to do."""


@dataclass(frozen=True)
class PlanLimits:
    """What a plan may use of Airflow's machine.

    Attributes:
        folder: where it works; None for the system's folder for temporary files.
        memory_mib: of the database; what does not fit goes to the folder. The process itself takes some 300 MiB more.
    """

    folder: Path | None = None
    memory_mib: int = 1024


@dataclass(frozen=True)
class PlanSpace:
    """The open database of one plan, with the tables of TABLES, and the folder that it lies in."""

    folder: Path
    database: "duckdb.DuckDBPyConnection"

    def add(self, table: str, batch: pa.Table | pa.RecordBatch | pa.RecordBatchReader) -> None:
        """Append rows to a table of the database; the columns are the table's, in its order."""
        self.database.register("added", batch)
        try:
            self.database.execute(f"INSERT INTO {table} SELECT * FROM added")  # noqa: S608 -- our own names
        finally:
            self.database.unregister("added")

    def remove(self, table: str, paths: pa.Table) -> None:
        """Delete the rows of some paths."""
        self.database.register("removed", paths)
        try:
            self.database.execute(f"DELETE FROM {table} WHERE path IN (SELECT path FROM removed)")  # noqa: S608 -- as above
        finally:
            self.database.unregister("removed")

    def clear(self, table: str) -> None:
        """Make a table empty."""
        self.database.execute(f"CREATE OR REPLACE TABLE {table} ({TABLES[table]})")

    def clear_all(self) -> None:
        """Make all tables, empty."""
        for table in TABLES:
            self.clear(table)

    def row(self, query: str, values: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The one row that a query finds."""
        # All of them: a result that is not read to its end keeps the connection from other work.
        found: list[tuple[Any, ...]] = self.database.execute(query, list(values)).fetchall()
        if len(found) != 1:
            raise LookupError(f"{len(found)} rows: {query}")
        return found[0]

    def batches(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """What a query finds, so many rows at a time."""
        yield from self.database.sql(query).to_arrow_reader(rows)

    def check_room(self, images: int) -> None:
        """Raise PlanSpaceError unless the disk has room for a plan of so many images."""
        _check_room(self.folder, images * BYTES_PER_IMAGE)


@contextmanager
def plan_space(limits: PlanLimits) -> Iterator[PlanSpace]:
    """Open a database with empty tables for as long as the context is open; nothing of it stays.

    Raises PlanSpaceError when the folder is not there, cannot be written, or has no room: at first, or in the middle.
    """
    # A tenth of a second that every reading of a DAG, and every other task, does without.
    import duckdb  # noqa: PLC0415

    parent = limits.folder or Path(tempfile.gettempdir())
    _remove_abandoned(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise PlanSpaceError(
            f"a run cannot be planned in {parent} ({error.strerror}): make that folder, or name another one of this "
            "machine in VERGER_SPILL_FOLDER"
        ) from error
    try:
        _check_room(folder, LEAST_ROOM_MIB * _MIB)
        with (
            (folder / _LOCK).open("w") as lock,
            duckdb.connect(folder / "plan.duckdb", config=_config(folder, limits)) as database,
        ):
            fcntl.flock(lock, fcntl.LOCK_EX)
            space = PlanSpace(folder, database)
            space.clear_all()
            yield space
    except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
        of_memory = isinstance(error, duckdb.OutOfMemoryException)
        if not of_memory and not _is_of_room(error):
            raise
        said = str(error).partition("\n")[0]
        more = _MORE_MEMORY if of_memory else _MORE_ROOM
        raise PlanSpaceError(f"there is no room left to plan in {folder}: {said}. {more}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_PREFIX = "verger-plan-"
#: Locked for as long as the process lives that works in the folder.
_LOCK = "lock"
#: A folder as young as this may belong to somebody who has not locked it yet.
_YOUNG_SECONDS = 60.0


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of plans whose processes were killed: some hold gigabytes, and nobody else would."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _YOUNG_SECONDS:
                continue
            with (folder / _LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


_MORE_ROOM = "Free some, or name a folder of a larger disk in VERGER_SPILL_FOLDER"
_MORE_MEMORY = "Set VERGER_PLAN_MEMORY_MIB higher, or name a folder of a larger disk in VERGER_SPILL_FOLDER"


def _config(folder: Path, limits: PlanLimits) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": f"{limits.memory_mib}MiB",
        "temp_directory": str(folder / "spilled"),
        # Nothing is fetched, and nobody's own files are read: what stands in a key is data.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PlanSpaceError(
            f"{folder} has {free / _MIB:,.0f} MiB free, and this plan needs about {needed / _MIB:,.0f}. {_MORE_ROOM}"
        )


def _is_of_room(error: Exception) -> bool:
    """Whether an error tells of a full disk."""
    return (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left on device" in str(error)

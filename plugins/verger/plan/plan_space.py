"""Where a plan works on lists that memory could not hold."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from verger_rules.disk_database import DiskDatabase, DiskLimits, disk_database

from verger.run.deployment import Deployment

#: What a plan is made from. `listed`: the pictures, and what may be one; `readable`: whether the nodes can read it by
#: its key. `done`: rows of the feature table, with the etag that the picture was read under; `current`: this version of
#: the decoder made it, and one of another version answers nothing. `previous`: the list of the run before.
TABLES = {
    "listed": "path VARCHAR, etag VARCHAR, label VARCHAR, size BIGINT, readable BOOLEAN",
    "done": "path VARCHAR, etag VARCHAR, featurized BOOLEAN, current BOOLEAN",
    "previous": "path VARCHAR",
}
#: What an image takes on the disk while a run is planned, with keys of 76 characters: 144 bytes in the database and the
#: frozen list (measured at ten million: `make scale`), the rest for what sorting and joining spill.
BYTES_PER_IMAGE = 600


@dataclass(frozen=True)
class PlanLimits:
    """What a plan may use of Airflow's machine.

    Attributes:
        folder: where it works; None for the system's folder for temporary files.
        memory_mib: of the database.
    """

    folder: Path | None = None
    memory_mib: int = 1024


@dataclass(frozen=True)
class PlanSpace(DiskDatabase):
    """The open database of one plan, with the tables of TABLES."""

    def remove(self, table: str, paths: pa.Table) -> None:
        """Delete the rows of some paths."""
        with self.shown("removed", paths):
            self.database.execute(f"DELETE FROM {table} WHERE path IN (SELECT path FROM removed)")  # noqa: S608 -- ours

    def clear(self, table: str) -> None:
        """Make a table empty."""
        self.database.execute(f"CREATE OR REPLACE TABLE {table} ({TABLES[table]})")

    def clear_all(self) -> None:
        """Make all tables, empty."""
        for table in TABLES:
            self.clear(table)

    def check_images(self, images: int) -> None:
        """Raise DiskDatabaseError unless the disk has room for a plan of so many images."""
        self.check_room(images * BYTES_PER_IMAGE)


def plan_limits(deployment: Deployment) -> PlanLimits:
    """What an installation lets its lists use."""
    return PlanLimits(deployment.spill_folder, deployment.plan_memory_mib)


def on_disk(limits: PlanLimits) -> DiskLimits:
    """The limits as a database takes them, with the settings that change them."""
    return DiskLimits(
        limits.folder or Path(tempfile.gettempdir()),
        limits.memory_mib,
        folder_setting="VERGER_SPILL_FOLDER",
        memory_setting="VERGER_PLAN_MEMORY_MIB",
    )


@contextmanager
def plan_space(limits: PlanLimits) -> Iterator[PlanSpace]:
    """Open a database with empty tables for as long as the context is open. Raises DiskDatabaseError."""
    with disk_database(on_disk(limits)) as opened:
        space = PlanSpace(opened.folder, opened.database, opened.limits)
        space.clear_all()
        yield space

"""Where a step works on lists that memory could not hold."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from verger_rules.disk_database import DiskDatabase, DiskDatabaseError, DiskLimits, disk_database

from spark_jobs.job_errors import StepFailedError


@contextmanager
def list_database(folder: Path, memory_mib: int) -> Iterator[DiskDatabase]:
    """Open a database in a folder of this machine for as long as the context is open.

    Raises:
        StepFailedError: the folder is not there, or has no room; the memory does not suffice.
    """
    limits = DiskLimits(
        folder,
        memory_mib,
        folder_setting="--work-folder (VERGER_SPILL_FOLDER where the step runs on Airflow's machine)",
        memory_setting="--list-memory-mib",
    )
    try:
        with disk_database(limits) as database:
            yield database
    except DiskDatabaseError as error:
        raise StepFailedError(str(error)) from error

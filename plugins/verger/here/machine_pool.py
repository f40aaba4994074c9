"""The Airflow pool that lets one run at a time work on Airflow's machine."""

import contextlib
from typing import Any

from airflow.listeners import hookimpl

POOL = "verger_here"
_DESCRIPTION = "Runs of Verger that work on Airflow's own machine: one at a time."


class MachinePool:
    """Makes the pool when Airflow starts: a task whose pool is missing would wait for ever."""

    @hookimpl
    def on_starting(self, component: Any) -> None:  # noqa: ANN401 -- Airflow's Job, costly to import
        """Called by scheduler, triggerer and DAG processor, before their `Job` knows which it is, and by each task.

        Only the first three have Airflow's database.
        """
        if type(component).__name__ == "Job":
            make_pool()


def make_pool() -> None:
    """Make the pool, unless it is there: then it stays as somebody has set it."""
    # Airflow's models take a second to import; the plugin is loaded by every process.
    from airflow.models.pool import Pool  # noqa: PLC0415
    from sqlalchemy.exc import IntegrityError  # noqa: PLC0415

    if Pool.get_pool(POOL) is None:
        with contextlib.suppress(IntegrityError):  # another service was faster
            Pool.create_or_update_pool(name=POOL, slots=1, description=_DESCRIPTION, include_deferred=False)

"""Airflow for one machine: a home folder with an SQLite database, made and migrated when it must be."""

from __future__ import annotations

import importlib.metadata
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


#: How long a service waits for its turn to write. SQLite lets one write at a time, and Python's five seconds are too
#: few when the scheduler stores a run on a busy machine: who triggered one then read "Internal Server Error".
LOCK_SECONDS = 60


class AirflowHomeError(Exception):
    """Airflow's database could not be made; the message names the log."""


@dataclass(frozen=True)
class AirflowHome:
    """Where Airflow keeps its state (`home`), and the project and the environment that it runs from."""

    home: Path
    project: Path
    python: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "airflow.db"

    def environment(self) -> dict[str, str]:
        """Airflow's settings, as it reads them from the environment."""
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.project / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.project / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}?timeout={LOCK_SECONDS}",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
            "PYTHONPATH": f"{self.project}:{self.project / 'plugins'}",
            "LC_ALL": "C.UTF-8",
        }

    def migrate(self, environment: Mapping[str, str], log: Path) -> bool:
        """Brings the database to the schema of the installed versions; returns whether there was anything to do.

        A stamp beside the database says which versions it is for, because asking Airflow takes seconds. Raises
        AirflowHomeError.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        stamp = self.home / "schema"
        wanted = installed_versions()
        if self.database.is_file() and stamp.is_file() and stamp.read_text("utf-8") == wanted:
            return False
        stamp.unlink(missing_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            command = [str(self.python), "-m", "airflow", "db", "migrate"]
            result = subprocess.run(
                command, env={**environment, **self.environment()}, stdout=output, stderr=output, check=False
            )
        if result.returncode:
            raise AirflowHomeError(
                f"Airflow's database {self.database} could not be brought up to date (log: {log});"
                f" if nothing in {self.home} is needed any more, remove that folder"
            )
        stamp.write_text(wanted, "utf-8")
        return True


def installed_versions() -> str:
    """Airflow and the providers with their versions, as installed in this environment: the schema follows from them."""
    names = {
        (distribution.name.lower(), distribution.version)
        for distribution in importlib.metadata.distributions()
        if distribution.name.lower().startswith("apache-airflow")
    }
    return "".join(f"{name} {version}\n" for name, version in sorted(names))

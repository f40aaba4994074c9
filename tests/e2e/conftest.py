"""A whole Verger for whole runs: S3 and EMR of this machine, Airflow with a database of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Verger
from tools import local_stack
from tools.local_run import clusters
from tools.local_run.airflow_home import AirflowHome


@pytest.fixture(scope="module")
def verger(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verger]:
    """An installation of this module's own; its servers end with it."""
    folder = tmp_path_factory.mktemp("verger")
    home = AirflowHome(folder / "airflow", project, project / ".venv" / "airflow" / "bin" / "python")
    home.migrate(local_stack.cleared(os.environ), folder / "migrate.log")
    with local_stack.running(local_stack.StackSettings.for_project(project, folder, folder)) as stack:
        yield Verger(stack, home, folder)
        left = [cluster for cluster in clusters.list_clusters(stack.emr()) if not cluster.ended]
        assert left == [], "a cluster was left alive"

"""A whole Verger for whole runs: S3 and EMR of this machine, Airflow with a database of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.installation import Verger, installed


@pytest.fixture(scope="module")
def verger(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verger]:
    """An installation of this module's own; its servers end with it."""
    with installed(project, tmp_path_factory.mktemp("verger")) as verger:
        yield verger

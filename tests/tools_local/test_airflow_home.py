"""Airflow's home on one machine: what its services share."""

from pathlib import Path

import sqlalchemy

from tools.local_run.airflow_home import LOCK_SECONDS, AirflowHome


def test_a_service_waits_for_its_turn_to_write_instead_of_answering_500(tmp_path: Path) -> None:
    """SQLite takes one write at a time; what waits longer than the driver's own 5 s fails a person's request."""
    home = AirflowHome(tmp_path / "airflow home", tmp_path, tmp_path / "python")
    home.home.mkdir()
    engine = sqlalchemy.create_engine(home.environment()["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    with engine.connect() as connection:
        waits = connection.execute(sqlalchemy.text("PRAGMA busy_timeout")).scalar_one()
    engine.dispose()
    assert waits == LOCK_SECONDS * 1000
    assert LOCK_SECONDS > 5
    assert home.database.is_file(), "the setting is not taken for a part of the file's name"

"""Airflow's services on one machine, as `make ui` starts them."""

from pathlib import Path
from urllib.parse import urlsplit

from tools.local_run.airflow_services import COMMANDS, service_environment


def test_a_persons_requests_and_the_tasks_are_answered_by_two_servers(tmp_path: Path) -> None:
    """In one process they block each other for good on SQLite: see the module's own words."""
    apps = {command[-1] for command in COMMANDS.values() if command[0] == "api-server"}
    assert apps == {"core", "execution"}
    environment = service_environment(18080, 18081, tmp_path / "passwords.json")
    assert environment["AIRFLOW__API__PORT"] == "18080"
    assert urlsplit(environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]).port == 18081


def test_no_service_offers_its_logs_to_the_network() -> None:
    """Airflow's servers of logs have no setting for the address that they listen to."""
    assert all("--skip-serve-logs" in COMMANDS[name] for name in ("scheduler", "triggerer"))

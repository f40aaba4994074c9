"""Airflow's simple auth manager, but nobody may see the DAG `secret`."""

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class SecretiveAuthManager(SimpleAuthManager):
    """Knows a permission for each DAG, which the simple one does not."""

    def is_authorized_dag(self, *, details: Any = None, **asked: Any) -> bool:
        """As always, but for one DAG."""
        return (details is None or details.id != "secret") and super().is_authorized_dag(details=details, **asked)

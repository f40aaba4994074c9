"""Registers what Verger adds to Airflow; `.airflowignore` hides the package beside it from the plugin loader."""

import os
from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from verger.here.machine_pool import MachinePool
from verger.run.deployment import Deployment
from verger.serve.run_note import RunNotes
from verger.serve.tab import URL_PREFIX, results_tab


class VergerPlugin(AirflowPlugin):
    """The tab of a run's results, the app behind it, the notes of runs, and the pool of runs on this machine."""

    name = "verger"
    external_views: list[Any] = [results_tab()]  # noqa: RUF012 -- as Airflow declares it
    listeners: list[Any] = [RunNotes(), MachinePool()]  # noqa: RUF012 -- the same

    @cached_property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The app; built when the API server asks for it, since every process of Airflow loads this file."""
        from verger.serve.app import results_app  # noqa: PLC0415 -- takes two seconds
        from verger.storage.aws_clients import viewer_s3_client  # noqa: PLC0415 -- the same

        deployment = Deployment.from_environment(os.environ)

        def s3_in(region: str) -> Any:  # noqa: ANN401 -- one of boto3's made-up classes
            return viewer_s3_client(deployment.aws_conn_id, region)

        return [{"name": "Results", "app": results_app(s3_in, deployment.region), "url_prefix": URL_PREFIX}]

"""The operator of `publish_results`: a Python task with a link to the tab that shows what it published."""

from typing import TYPE_CHECKING

from airflow.configuration import conf
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import BaseOperatorLink

from verger.serve.tab import base_path, tab_path

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class RunResultsLink(BaseOperatorLink):
    """The link to the run's tab; it is shown on the task's Details."""

    @property
    def name(self) -> str:
        """What the button says."""
        return "Results"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:  # noqa: ARG002 -- Airflow's
        """The tab's address, on whatever host the UI is seen."""
        base = base_path(conf.get("api", "base_url", fallback=""))
        return tab_path(ti_key.dag_id, ti_key.run_id, base)


class PublishResultsOperator(PythonOperator):
    """Calls the function that publishes, and links to what came of it."""

    operator_extra_links = (RunResultsLink(),)

"""Where in Airflow's UI a run's results are: every address is built here."""

from typing import Any
from urllib.parse import quote, urlsplit

#: Where the app that serves results is mounted.
URL_PREFIX = "/results"
#: The last part of the tab's own address; without one Airflow shows no tab.
_TAB_ROUTE = "results"


def results_tab() -> dict[str, Any]:
    """The tab as Airflow's plugins declare it. The slash at its end makes the page's relative addresses work."""
    return {
        "name": "Results",
        "destination": "dag_run",
        "url_route": _TAB_ROUTE,
        "href": f"{URL_PREFIX.lstrip('/')}/runs/{{DAG_ID}}/{{RUN_ID}}/",
    }


def base_path(base_url: str) -> str:
    """The path below which Airflow's UI lies, of its setting `api.base_url`: empty, or `/airflow`."""
    return urlsplit(base_url).path.rstrip("/")


def tab_path(dag_id: str, run_id: str, base: str = "") -> str:
    """The address of a run's tab on Airflow's own host."""
    return f"{base}/dags/{_part(dag_id)}/runs/{_part(run_id)}/plugin/{_TAB_ROUTE}"


def file_path(dag_id: str, run_id: str, name: str, base: str = "") -> str:
    """The address of one of a run's files on Airflow's own host."""
    return f"{base}{URL_PREFIX}/runs/{_part(dag_id)}/{_part(run_id)}/{quote(name)}"


def _part(name: str) -> str:
    return quote(name, safe="")

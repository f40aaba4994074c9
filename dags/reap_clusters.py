"""The DAG `reap_clusters`: every ten minutes, ends clusters of ours that outlived their run or their allowed age."""

import os
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.sdk import dag, get_current_context, task
from verger import cluster_tasks, housekeeping
from verger.run.deployment import Deployment

DEPLOYMENT = Deployment.from_environment(os.environ)


@dag(
    dag_id="reap_clusters",
    description="Ends clusters with our tag that are too old, or whose run is over",
    doc_md=__doc__,
    schedule="*/10 * * * *",
    catchup=False,
    max_active_runs=1,
    # A net that nobody has switched on is none.
    is_paused_upon_creation=False,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
        "execution_timeout": timedelta(minutes=5),
        "on_failure_callback": partial(cluster_tasks.mail_failure, DEPLOYMENT),
    },
    tags=["verger"],
)
def reap_clusters_dag() -> None:
    """One task."""

    @task
    def reap_clusters() -> list[dict[str, Any]]:
        """End every cluster with our tag that is too old or whose run is over; a mail goes out for each."""
        return housekeeping.reap_clusters(DEPLOYMENT, get_current_context())

    reap_clusters()


reap_clusters_dag()

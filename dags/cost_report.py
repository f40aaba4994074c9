"""The DAG `cost_report`: each Monday, what the week's runs cost and what of it was wasted, as CSV, HTML and mail."""

import os
from datetime import timedelta
from functools import partial

from airflow.sdk import dag, get_current_context, task
from verger import cluster_tasks, housekeeping
from verger.run.deployment import Deployment

DEPLOYMENT = Deployment.from_environment(os.environ)


@dag(
    dag_id="cost_report",
    description="Weekly: runs, cluster hours, cost, waste",
    doc_md=__doc__,
    schedule="0 6 * * 1",
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(minutes=5),
        "execution_timeout": timedelta(minutes=15),
        "on_failure_callback": partial(cluster_tasks.mail_failure, DEPLOYMENT),
    },
    tags=["verger"],
)
def cost_report_dag() -> None:
    """One task."""

    @task
    def report_costs() -> list[str]:
        """Report the seven days before this run was due, from Cost Explorer where it answers and the runs' records."""
        run = get_current_context()["dag_run"]
        return housekeeping.report_costs(DEPLOYMENT, run.run_after)

    report_costs()


cost_report_dag()

"""The DAG `fruits_features`: a bucket of pictures in, a small matrix out, on a cluster that ends with the run.

**To start a run**, copy pictures into the bucket's `images/` folder, one folder a label, and wait a minute; or press
*Trigger*: every field of its form has a default. A run that finds nothing new ends at once, before there is a
cluster.

**To see how far it is**, open the log of `wait_for_featurize`: pictures done, pictures/s, minutes left. What the
cluster may cost stands in the log of `choose_cluster`, what it did cost in that of `record_cost`, and where the
results are in that of `publish_results`.

**When a task has failed**, its log ends with the cause. Mend it, then *clear* the task with its downstream tasks, as
the dialog proposes: a new cluster goes on where the old one stopped. Whatever fails, `terminate_cluster` ends the
cluster.
"""

import os
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.sdk import dag, get_current_context, task
from verger import cluster_tasks, tasks
from verger.arrivals.schedule import pictures_asset, run_schedule
from verger.cluster.hold import HoldClusterOperator
from verger.cluster.operators import AddStepOperator, CreateClusterOperator, StepSensor
from verger.cluster.ready_sensor import ClusterReadySensor
from verger.run.deployment import Deployment
from verger.run.params import run_params, unchecked
from verger.serve.publish_operator import PublishResultsOperator

DEPLOYMENT = Deployment.from_environment(os.environ)
PICTURES = pictures_asset(DEPLOYMENT)
PARAMS = run_params(DEPLOYMENT)
# What ends a run must be called whatever its settings are by now.
ENDING: dict[str, Any] = {"params": unchecked(PARAMS)}
# What the two tasks that list the pictures have seen, they tell the watcher through the asset.
SEEN: dict[str, Any] = {"inlets": [PICTURES] if PICTURES else []}
REGION = "{{ params.region }}"
EMR: dict[str, Any] = {"aws_conn_id": DEPLOYMENT.aws_conn_id, "region_name": REGION}
# A wait that an ailing API cut off is taken up again, for minutes if it must be; what really failed fails for good.
WAIT: dict[str, Any] = {
    **EMR,
    "poke_interval": DEPLOYMENT.poll_seconds,
    "log_seconds": DEPLOYMENT.log_seconds,
    "retries": 10,
}
STALL: dict[str, Any] = {
    "tell_minutes": "{{ params.stalled_minutes }}",
    "end_minutes": "{{ params.end_stalled_minutes }}",
}
STEP_HOURS = 12
CLUSTER_MINUTES = 60


def attempts(duration: timedelta) -> int:
    """How many looks a sensor takes in a duration."""
    return max(1, int(duration.total_seconds() / DEPLOYMENT.poll_seconds))


@dag(
    dag_id="fruits_features",
    description="150,528 pixel values -> 1,280 MobileNetV2 features -> about ten principal components",
    doc_md=__doc__,
    schedule=run_schedule(DEPLOYMENT, PICTURES),
    catchup=False,
    max_active_runs=1,
    # No dagrun_timeout: it skips teardowns. Every task has a time limit of its own instead.
    # What only reads or writes S3 is tried again (`retries=2`): a lost connection is no reason to fail a run.
    default_args={
        "retries": 0,
        "retry_delay": timedelta(seconds=20),
        "execution_timeout": timedelta(hours=1),
        "on_failure_callback": partial(cluster_tasks.mail_failure, DEPLOYMENT),
    },
    params=PARAMS,
    tags=["verger"],
)
def fruits_features() -> None:  # noqa: C901 -- each task counts; there is no branch
    """Wire the run: read from top to bottom, the last lines are the order."""

    @task
    def check_settings() -> dict[str, str]:
        """Refuse, before anything is created, what cannot work: settings, region, bucket, a run id that is taken."""
        return tasks.check_settings(DEPLOYMENT, get_current_context())

    @task(retries=2, execution_timeout=timedelta(hours=6), **SEEN)
    def sync_images() -> dict[str, int]:
        """Copy new and changed pictures from the source folder to the bucket, if one is given."""
        return tasks.sync_images(DEPLOYMENT, get_current_context())

    @task(retries=2)
    def publish_model() -> dict[str, str]:
        """Find the model in the bucket, or prepare it there."""
        return tasks.publish_model(DEPLOYMENT, get_current_context())

    @task.short_circuit(retries=2, **SEEN)
    def plan_run(model: dict[str, str]) -> dict[str, Any]:
        """List the pictures once, freeze the list, and end the run here when nothing changed."""
        return tasks.plan_run(DEPLOYMENT, get_current_context(), model)

    @task(retries=2)
    def publish_code() -> str:
        """Put the Spark jobs and the bootstrap action in the bucket, under their digest."""
        return tasks.publish_code(DEPLOYMENT, get_current_context())

    @task(retries=2)
    def choose_cluster(plan: dict[str, Any]) -> dict[str, Any]:
        """Size the cluster for the work, estimate its cost, and stop here when it could cost more than the budget."""
        return cluster_tasks.choose_cluster(DEPLOYMENT, get_current_context(), plan)

    @task
    def lease_cluster(code_uri: str, model: dict[str, str], choice: dict[str, Any]) -> dict[str, Any]:
        """Name the run's cluster and describe it and its steps."""
        return cluster_tasks.lease_cluster(DEPLOYMENT, get_current_context(), code_uri, model, choice)

    @task(retries=8, retry_delay=timedelta(seconds=30), max_retry_delay=timedelta(minutes=5), **ENDING)
    def terminate_cluster() -> list[str]:
        """End every cluster of this run, and wait until AWS says that it is TERMINATED."""
        return cluster_tasks.terminate_cluster(DEPLOYMENT, get_current_context())

    @task(retries=3, **ENDING)
    def record_cost(choice: dict[str, Any]) -> float:
        """Reckon what the cluster cost now that it has ended, add it to run.json, and mail the results."""
        return cluster_tasks.record_cost(DEPLOYMENT, get_current_context(), choice)

    @task(retries=0, **ENDING)
    def check_outcome() -> None:
        """Fail the run if somebody marked it failed or its cluster may be alive: Airflow would call it a success."""
        cluster_tasks.check_outcome(get_current_context())

    def publish_results(cluster_id: str, regions: dict[str, str]) -> str:
        return tasks.publish_results(DEPLOYMENT, get_current_context(), cluster_id, regions)

    # What a task call returns is an XComArg, whatever the function's own type says.
    regions: Any = check_settings()
    model: Any = publish_model()
    plan: Any = plan_run(model)
    code_uri: Any = publish_code()
    choice: Any = choose_cluster(plan)
    lease: Any = lease_cluster(code_uri, model, choice)

    # Not deferrable and without retries: RunJobFlow has no client token, and a second call is a second cluster.
    create_cluster: Any = CreateClusterOperator(
        task_id="create_cluster",
        doc_md="Create the cluster (RunJobFlow), or take the one that an interrupted try of this task created.",
        job_flow_overrides=lease["job_flow"],
        emr_conn_id=None,
        deferrable=False,
        retries=0,
        **EMR,
    )
    cluster_id: Any = create_cluster.output
    wait_for_cluster = ClusterReadySensor(
        task_id="wait_for_cluster",
        doc_md="Wait, without holding a worker, until the cluster takes steps.",
        job_flow_id=cluster_id,
        max_attempts=attempts(timedelta(minutes=CLUSTER_MINUTES)),
        execution_timeout=timedelta(minutes=CLUSTER_MINUTES),
        on_success_callback=partial(cluster_tasks.mail_cluster_ready, DEPLOYMENT),
        **WAIT,
    )
    add_featurize_step: Any = AddStepOperator(
        task_id="add_featurize_step",
        doc_md="Hand the cluster the step that turns pictures into features.",
        job_flow_id=cluster_id,
        steps=lease["featurize_steps"],
        retries=2,
        **EMR,
    )
    wait_for_featurize = StepSensor(
        task_id="wait_for_featurize",
        doc_md="Wait for featurize. The log shows its progress and, if it fails, the end of the step's own log.",
        job_flow_id=cluster_id,
        step_id="{{ ti.xcom_pull(task_ids='add_featurize_step')[0] }}",
        steps=lease["featurize_steps"],
        **STALL,
        max_attempts=attempts(timedelta(hours=STEP_HOURS)),
        execution_timeout=timedelta(hours=STEP_HOURS),
        **WAIT,
    )
    add_pca_step: Any = AddStepOperator(
        task_id="add_pca_step",
        doc_md="Hand the cluster the step that turns features into the matrix.",
        job_flow_id=cluster_id,
        steps=lease["pca_steps"],
        retries=2,
        **EMR,
    )
    wait_for_pca = StepSensor(
        task_id="wait_for_pca",
        doc_md="Wait for pca. The log shows its phases and, if it fails, the end of the step's own log.",
        job_flow_id=cluster_id,
        step_id="{{ ti.xcom_pull(task_ids='add_pca_step')[0] }}",
        steps=lease["pca_steps"],
        **STALL,
        max_attempts=attempts(timedelta(hours=STEP_HOURS)),
        execution_timeout=timedelta(hours=STEP_HOURS),
        **WAIT,
    )
    published = PublishResultsOperator(
        task_id="publish_results",
        doc_md="Reconcile the counts, write run.json and the report, and move latest.json last.",
        python_callable=publish_results,
        op_args=[cluster_id, regions],
        retries=2,
    )
    hold_cluster = HoldClusterOperator(
        task_id="hold_cluster",
        doc_md="Hold the finished cluster for a demonstration, if asked to. The log says how to look at it.",
        job_flow_id=cluster_id,
        minutes="{{ params.keep_for_demo_minutes }}",
        idle_minutes="{{ params.idle_minutes }}",
        results_uri=lease["results_uri"],
        execution_timeout=timedelta(hours=5),
        **EMR,
    )
    terminated: Any = terminate_cluster()
    recorded: Any = record_cost(choice)
    setups = [lease.as_setup(), create_cluster.as_setup()]

    regions >> [sync_images(), model] >> plan >> [code_uri, choice] >> lease >> create_cluster >> wait_for_cluster
    wait_for_cluster >> add_featurize_step >> wait_for_featurize >> add_pca_step >> wait_for_pca
    # The cluster does not wait for the results to be published: it has nothing to do with that.
    wait_for_pca >> published
    wait_for_pca >> hold_cluster >> terminated.as_teardown(setups=setups)
    # A teardown as well, so that a run that failed is accounted for; it adds nothing that could hide the failure.
    [published, terminated] >> recorded.as_teardown(setups=setups)
    outcome: Any = check_outcome()
    recorded >> outcome.as_teardown(setups=setups, on_failure_fail_dagrun=True)


fruits_features()

"""The DAG `fruits_features`: a bucket of pictures in, a small matrix out.

**Where it works**: few pictures on Airflow's machine, many on an EMR cluster that ends with the run. The log of
`choose_place` compares both; the field *Compute* decides otherwise.

**To start a run**, copy pictures into the bucket's `images/` folder, one folder a label, and wait a minute; or press
*Trigger*: every field of its form has a default. A run that finds nothing new ends at once, before there is a
cluster.

**To see how far it is**, open the log of `run_here` or `wait_for_featurize`: pictures done, pictures/s, minutes left.
What it may cost stands in the log of `choose_place`, what it did cost in that of `record_cost`, and where the results
are in that of `publish_results`.

**When a task has failed**, its log ends with the cause. Fix it, then *clear* the task with its downstream tasks, as
the dialog proposes: a new try, or a new cluster, goes on where the old one stopped. Whatever fails, `terminate_cluster`
ends the cluster.
"""

import os
from datetime import timedelta
from functools import partial
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag, get_current_context, task
from verger import cluster_tasks, place_tasks, plan_tasks, tasks
from verger.arrivals.schedule import pictures_asset, run_schedule
from verger.cluster.hold import HoldClusterOperator
from verger.cluster.operators import AddStepOperator, CreateClusterOperator, StepSensor
from verger.cluster.ready_sensor import ClusterReadySensor
from verger.here.branching import BranchingOperator
from verger.here.machine_pool import POOL
from verger.run.context import task_states
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
# Above the most that max_cluster_hours allows: a step has as long as its cluster may live, which its lease says.
STEP_HOURS = 49
# Ten million pictures take minutes; a hundred million, or a slow store, more than the default hour.
LIST_HOURS = 6
# Above the most that here_minutes allows, so that the run itself goes on elsewhere.
HERE_HOURS = 13
# Where the two ways meet again: what was not taken is skipped.
JOIN = "none_failed_min_one_success"
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
def fruits_features() -> None:  # noqa: C901, PLR0915 -- each task counts; there is no branch
    """Wire the run: read from top to bottom, the last lines are the order."""

    @task
    def check_settings() -> dict[str, str]:
        """Refuse, before anything is created, what cannot work: settings, region, bucket, a run id that is taken."""
        return tasks.check_settings(DEPLOYMENT, get_current_context())

    @task(retries=2, execution_timeout=timedelta(hours=LIST_HOURS), **SEEN)
    def sync_images() -> dict[str, int]:
        """Copy new and changed pictures from the source folder to the bucket, if one is given."""
        return tasks.sync_images(DEPLOYMENT, get_current_context())

    @task(retries=2)
    def publish_model() -> dict[str, str]:
        """Find the model in the bucket, or prepare it there."""
        return tasks.publish_model(DEPLOYMENT, get_current_context())

    @task.short_circuit(retries=2, execution_timeout=timedelta(hours=LIST_HOURS), **SEEN)
    def plan_run(model: dict[str, str]) -> dict[str, Any]:
        """List the pictures once, freeze the list, and end the run here when nothing changed."""
        return plan_tasks.plan_run(DEPLOYMENT, get_current_context(), model)

    @task(retries=2, trigger_rule=JOIN)
    def publish_code() -> str:
        """Put the Spark jobs and the bootstrap action in the bucket, under their digest."""
        return tasks.publish_code(DEPLOYMENT, get_current_context())

    @task
    def lease_cluster(code_uri: str, model: dict[str, str], choice: dict[str, Any]) -> dict[str, Any]:
        """Name the run's cluster and describe it and its steps."""
        return cluster_tasks.lease_cluster(DEPLOYMENT, get_current_context(), code_uri, model, choice)

    @task(retries=8, retry_delay=timedelta(seconds=30), max_retry_delay=timedelta(minutes=5), **ENDING)
    def terminate_cluster() -> list[str]:
        """End every cluster of this run, and wait until AWS says that it is TERMINATED."""
        return cluster_tasks.terminate_cluster(DEPLOYMENT, get_current_context())

    @task(retries=3, **ENDING)
    def record_cost(choice: dict[str, Any] | None) -> float:
        """Reckon what the cluster cost now that it has ended, add it to run.json, and mail the results."""
        return cluster_tasks.record_cost(DEPLOYMENT, get_current_context(), choice)

    @task(retries=0, **ENDING)
    def check_outcome() -> None:
        """Fail the run if somebody marked it failed or its cluster may be alive: Airflow would call it a success."""
        cluster_tasks.check_outcome(get_current_context())

    def choose_place(plan: dict[str, Any]) -> dict[str, Any]:
        return place_tasks.choose_place(DEPLOYMENT, get_current_context(), plan)

    def run_here(model: dict[str, str], choice: dict[str, Any]) -> dict[str, Any]:
        return place_tasks.run_here(DEPLOYMENT, get_current_context(), model, choice)

    def publish_results(regions: dict[str, str]) -> str:
        context = get_current_context()
        # Not an argument: Airflow lets only `all_success` follow a setup, which `create_cluster` is.
        had_one = task_states(context).get("create_cluster") == "success"
        cluster_id = context["ti"].xcom_pull(task_ids="create_cluster") if had_one else None
        return tasks.publish_results(DEPLOYMENT, context, cluster_id, regions)

    # What a task call returns is an XComArg, whatever the function's own type says.
    regions: Any = check_settings()
    model: Any = publish_model()
    plan: Any = plan_run(model)
    code_uri: Any = publish_code()
    # Costs nothing: the scheduler marks an empty task itself.
    account: Any = EmptyOperator(
        task_id="open_account", doc_md="There is work to do: from here on the run is accounted for, however it ends."
    )
    chosen = BranchingOperator(
        task_id="choose_place",
        doc_md="Estimate the run on this machine and on a cluster sized for it, and choose; a cluster above the budget "
        "is refused.",
        python_callable=choose_place,
        op_args=[plan],
        retries=2,
    )
    choice: Any = chosen.output
    here = BranchingOperator(
        task_id="run_here",
        doc_md="Compute features and components on Airflow's machine. The log shows the progress. What is not done in "
        "`here_minutes` goes to a cluster.",
        python_callable=run_here,
        op_args=[model, choice],
        pool=POOL,
        retries=2,
        execution_timeout=timedelta(hours=HERE_HOURS),
    )
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
        op_args=[regions],
        trigger_rule=JOIN,
        retries=2,
        execution_timeout=timedelta(hours=LIST_HOURS),
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

    regions >> [sync_images(), model] >> plan >> [account, chosen]
    chosen >> here >> [code_uri, published]
    chosen >> code_uri >> lease >> create_cluster >> wait_for_cluster
    wait_for_cluster >> add_featurize_step >> wait_for_featurize >> add_pca_step >> wait_for_pca
    # The cluster does not wait for the results to be published: it has nothing to do with that.
    wait_for_pca >> published
    wait_for_pca >> hold_cluster >> terminated.as_teardown(setups=setups)
    # A teardown as well, so that a run that failed is accounted for; it adds nothing that could hide the failure. Of
    # the account alone: with the cluster's setups, which may be skipped, Airflow would skip `publish_results` too.
    [published, terminated] >> recorded.as_teardown(setups=account.as_setup())
    outcome: Any = check_outcome()
    recorded >> outcome.as_teardown(setups=account, on_failure_fail_dagrun=True)


fruits_features()

"""What the tasks do that order and end a run's cluster, and account for the run."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from verger.artifacts.model_store import Model
from verger.cluster.clusters import lease_name, run_lease, terminate_leased
from verger.cluster.shape import ClusterShape
from verger.cluster.spec import ClusterOrder, job_flow
from verger.cluster.steps import FEATURIZE, PCA, featurize_arguments, pca_arguments, spark_step
from verger.cluster.tags import cluster_tags
from verger.cluster.throughput import measure
from verger.cost.reckoning import Estimate, describe_estimate, spot_source
from verger.cost.run_cost import COST_FILE, RunFacts, cost_record, read_cluster_cost, run_clusters
from verger.cost.spot_prices import with_spot_history
from verger.here.choice import measured_here
from verger.here.record import CHOICE_FILE, HERE_FILE
from verger.housekeeping import send_mail
from verger.mail.notification import cluster_ready_mail, describe_cost, failure_mail, results_mail
from verger.prices import load_prices
from verger.publish.changes import add_cost
from verger.publish.latest_pointer import is_published, pointer_warnings
from verger.publish.run_description import put_run_description
from verger.run.context import RunPlace, claim_folder, run_layout, run_place, run_settings, task_states
from verger.run.deployment import Deployment
from verger.storage.aws_clients import emr_client, s3_client, spot_price_client
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from airflow.sdk import Context

    from verger.cost.spot_prices import SpotPriceHistory

log = logging.getLogger(__name__)

#: EMR takes a minute or two to end a cluster; ten are a reason to look.
_TERMINATION_SECONDS = 600


def _ec2(deployment: Deployment, region: str) -> "SpotPriceHistory":
    return spot_price_client(deployment.aws_conn_id, region)


def lease_cluster(
    deployment: Deployment, context: "Context", code_uri: str, model: dict[str, str], choice: dict[str, Any]
) -> dict[str, Any]:
    """End what an earlier try left, and name the cluster after the run and the try; refuse one above the budget.

    Returns the cluster as RunJobFlow takes it, and the steps.
    """
    if choice.get("refused"):  # not in those of an earlier version
        # Checked where the place was chosen, and again here: a person may have marked what lies between as a success.
        raise AirflowFailException(choice["refused"])
    settings = run_settings(context)
    run = run_layout(settings, context)
    # Before anything is ended by the run's name: it would be another DAG's cluster if the folder were that one's.
    claim_folder(s3_client(deployment.aws_conn_id, settings.region), deployment, run, context)
    # Clearing a task brings a run here again, perhaps while the cluster of the try before still works: one run, one
    # cluster.
    terminate_cluster(deployment, context)
    name = lease_name(_lease(deployment, run), context["ti"].try_number)
    found = Model(**model)
    tags = cluster_tags(
        installation=deployment.name,
        dag_id=context["ti"].dag_id,
        run_id=run.run_id,
        end_by=datetime.now(UTC) + timedelta(hours=choice["allowed_hours"]),
        end_stalled_minutes=settings.end_stalled_minutes,
    )
    order = ClusterOrder(name, code_uri, ClusterShape.from_dict(choice["shape"]), tags, choice["allowed_hours"])
    return {
        "name": name,
        "job_flow": job_flow(settings, deployment, run.layout, order, load_prices()),
        "featurize_steps": [spark_step(FEATURIZE, code_uri, featurize_arguments(settings, run, found))],
        "pca_steps": [spark_step(PCA, code_uri, pca_arguments(settings, run, found))],
        "results_uri": run.results_uri,
    }


def terminate_cluster(deployment: Deployment, context: "Context") -> list[str]:
    """End every cluster of the run, whatever its settings are by now; returns the ids of those that were alive."""
    place = run_place(deployment, context)
    ended = terminate_leased(
        emr_client(deployment.aws_conn_id, place.region),
        _lease(deployment, place.run),
        poll_seconds=min(10, deployment.poll_seconds),
        patience_seconds=_TERMINATION_SECONDS,
    )
    log.info("ended: %s", ", ".join(ended) or "no cluster of this run was alive")
    return ended


def _lease(deployment: Deployment, run: RunLayout) -> str:
    return run_lease(deployment.name, run.slug)


def record_cost(deployment: Deployment, context: "Context", choice: dict[str, Any] | None) -> float:
    """Calculate what the run's clusters and its work here cost, write it down, and mail the results; US dollars."""
    place = run_place(deployment, context)
    run = place.run
    s3 = s3_client(deployment.aws_conn_id, place.region)
    # The choice of an earlier try, where a later one failed: its cluster cost all the same.
    choice = choice if choice is not None else read_json(s3, run.run_file(CHOICE_FILE))
    if choice is None:
        log.info("no place was ever chosen: nothing was done that could cost anything")
        return 0.0
    states = task_states(context)
    if states.get("terminate_cluster") == "skipped":
        # Its setups were skipped in this try, and one before may have left a cluster.
        terminate_cluster(deployment, context)
    published = is_published(s3, run)
    cost = _cost(deployment, place, context, choice, states, published=published)
    write_json(s3, run.run_file(COST_FILE), cost)
    log.info("%s", "\n".join(describe_cost(cost)))
    if published:
        description = read_json(s3, run.result_file("run.json")) or {}
        put_run_description(s3, run, add_cost(description, cost))
        warnings = [*pointer_warnings(s3, run), *description.get("warnings", ())]
        send_mail(deployment, results_mail({**description, "warnings": warnings}, cost, run.results_uri))
    return float(cost["usd"])


def check_outcome(context: "Context") -> None:
    """Fail when the run must not end as a success, though its last tasks were skipped or went well.

    Airflow lets the teardowns of a run that a person marked failed run all the same, and then takes it for a success.
    """
    states = task_states(context)
    if (problem := hidden_failure(states)) is not None:
        raise AirflowFailException(problem)


def hidden_failure(states: Mapping[str, str | None]) -> str | None:
    """Why a run whose tasks are in these states has failed, where Airflow would not see it.

    A task that was at work when somebody marked the run failed has failed, and what comes after it was skipped; after a
    task that fails by itself comes `upstream_failed`, which Airflow does see.
    """
    if states.get("terminate_cluster") == "failed":
        return "the cluster could not be ended: see the log of terminate_cluster, and look whether it is still there"
    failed = sorted(task for task, state in states.items() if state == "failed")
    if failed and states.get("publish_results") == "skipped":
        return f"the run was marked failed while {failed[0]} was at work; no cluster of it is left"
    return None


def _cost(
    deployment: Deployment,
    place: RunPlace,
    context: "Context",
    choice: dict[str, Any],
    states: Mapping[str, str | None],
    *,
    published: bool,
) -> dict[str, Any]:
    run = place.run
    s3 = s3_client(deployment.aws_conn_id, place.region)
    emr = emr_client(deployment.aws_conn_id, place.region)
    shape = ClusterShape.from_dict(choice["shape"])
    now = datetime.now(UTC)
    # Not when it started: clearing a run that is over sets that anew, and the clusters of its first try cost, too.
    began = context["dag_run"].run_after
    prices = with_spot_history(load_prices(), _ec2(deployment, place.region), shape, began, now)
    featurize = read_json(s3, run.run_file("featurize.json"))
    plan = read_json(s3, run.run_file("plan.json"))
    here = read_json(s3, run.run_file(HERE_FILE))
    was_here = states.get("run_here") == "success" and here is not None and here["outcome"] == "done"
    measured = measure(featurize, plan, shape, prices) if plan and not was_here else None
    clusters = [
        read_cluster_cost(emr, cluster_id, prices, region=place.region, ebs_gb=shape.ebs_gb, now=now)
        for cluster_id in run_clusters(emr, _lease(deployment, run), began)
    ]
    facts = RunFacts(
        dag_id=context["ti"].dag_id,
        region=place.region,
        outcome="published" if published else "failed",
        images=_images(featurize, plan, published=published),
        # A run that was done here had no cluster to estimate.
        estimate=None if was_here else choice["estimate"],
        here=here,
    )
    record = cost_record(
        run, facts, clusters, prices_as_of=prices.as_of, spot_prices=spot_source(shape, prices), now=now
    )
    now_here = measured_here(here, featurize)
    return {
        **record,
        "measured": measured.to_dict() if measured else choice["measured"],
        "measured_here": asdict(now_here) if now_here else choice.get("measured_here"),
    }


def _images(featurize: Mapping[str, Any] | None, plan: Mapping[str, Any] | None, *, published: bool) -> int:
    """The images that a run computed: all that were planned when it has published, whichever try and place did them."""
    if published and plan is not None:
        return int(plan["todo"])
    return int(featurize["featurized"] + featurize["rejected"]) if featurize else 0


def mail_cluster_ready(deployment: Deployment, context: "Context") -> None:
    """Tell that the cluster takes steps; a callback of the task that waits for it."""
    try:
        ti = context["ti"]
        choice = ti.xcom_pull(task_ids="choose_place")
        estimate = Estimate.from_dict(choice["estimate"])
        mail = cluster_ready_mail(
            run_id=str(context["run_id"]),
            cluster_id=ti.xcom_pull(task_ids="create_cluster"),
            region=run_place(deployment, context).region,
            estimate_lines=describe_estimate(estimate),
        )
    except Exception:  # a callback's error would hide what it was called for
        log.exception("no mail about the cluster")
        return
    send_mail(deployment, mail)


def mail_failure(deployment: Deployment, context: "Context") -> None:
    """Tell that a task failed for good, and why; a callback of every task."""
    try:
        ti = context["ti"]
        cause = context.get("exception") or "it ended without a reason: was its process killed?"
        mail = failure_mail(
            dag_id=ti.dag_id,
            run_id=str(context["run_id"]),
            task_id=ti.task_id,
            cause=str(cause) or type(cause).__name__,
            log_url=getattr(ti, "log_url", ""),
        )
    except Exception:  # as above
        log.exception("no mail about the failure")
        return
    send_mail(deployment, mail)

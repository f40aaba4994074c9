"""What the tasks do that decide on, order, account for and end a run's cluster."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from verger.artifacts.model_store import Model
from verger.cluster.clusters import lease_name, run_lease, terminate_leased
from verger.cluster.instance_fleets import read_shape
from verger.cluster.shape import ClusterShape, choose_shape, shape_wish
from verger.cluster.spec import ClusterOrder, job_flow
from verger.cluster.steps import FEATURIZE, PCA, featurize_arguments, pca_arguments, spark_step
from verger.cluster.tags import cluster_tags
from verger.cluster.throughput import choose_rate, measure
from verger.cost.cluster_times import read_times
from verger.cost.reckoning import (
    Estimate,
    allowed_hours,
    check_budget,
    describe_estimate,
    estimate_cost,
    spot_source,
)
from verger.cost.run_cost import COST_FILE, RunFacts, cost_record, read_cluster_cost, run_clusters
from verger.cost.spot_prices import LOOK_BACK, with_spot_history
from verger.housekeeping import send_mail
from verger.mail.notification import cluster_ready_mail, describe_cost, failure_mail, results_mail
from verger.prices import PriceTable, load_prices
from verger.publish.changes import add_cost
from verger.publish.latest_pointer import is_published, pointer_warnings
from verger.publish.run_description import put_run_description
from verger.run.context import RunPlace, claim_folder, run_layout, run_place, run_settings
from verger.run.deployment import Deployment
from verger.run.settings import Settings
from verger.storage.aws_clients import emr_client, s3_client, spot_price_client
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_s3 import S3Client

    from verger.cost.spot_prices import SpotPriceHistory

log = logging.getLogger(__name__)

#: EMR takes a minute or two to end a cluster; ten are a reason to look.
_TERMINATION_SECONDS = 600


def choose_cluster(deployment: Deployment, context: "Context", plan: dict[str, Any]) -> dict[str, Any]:
    """Choose the cluster's machines, estimate what they cost, and refuse what is above the budget.

    Returns the shape, the estimate, how many hours the cluster may live, and the throughput that was reckoned with.
    """
    settings = run_settings(context)
    run = run_layout(settings, context)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    prices = load_prices()
    measured = _last_measured(s3, run)
    times = read_times(s3, run.layout)
    try:
        kind = prices.instance_type(settings.instance_type, settings.region)
        rate, source = choose_rate(measured, plan, kind, settings.engine)
        shape = _shape(deployment, settings, prices, plan, rate)
        now = datetime.now(UTC)
        prices = with_spot_history(prices, _ec2(deployment, settings.region), shape, now - LOOK_BACK, now)
        estimate = estimate_cost(
            shape,
            prices,
            images_todo=plan["todo"],
            images=plan["listed"],
            rate_per_vcpu=rate,
            held_minutes=settings.keep_for_demo_minutes,
            times=times,
        )
        log.info("%s\nthroughput: %s\n%s", "\n".join(describe_estimate(estimate)), source, times.describe())
        check_budget(estimate, settings.budget_usd)
        hours = _allowed_hours(estimate, settings)
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    return {"shape": shape.to_dict(), "estimate": estimate.to_dict(), "allowed_hours": hours, "measured": measured}


def _ec2(deployment: Deployment, region: str) -> "SpotPriceHistory":
    return spot_price_client(deployment.aws_conn_id, region)


def _last_measured(s3: "S3Client", run: RunLayout) -> dict[str, Any] | None:
    """The throughput that the run before has measured, or has taken over from the one before it."""
    latest = read_json(s3, run.layout.latest)
    if latest is None:
        return None
    cost = read_json(s3, RunLayout(run.layout, latest["run_id"]).run_file(COST_FILE))
    return cost.get("measured") if cost else None


def _shape(
    deployment: Deployment, settings: Settings, prices: PriceTable, plan: dict[str, Any], rate: float
) -> ClusterShape:
    if settings.like_cluster_id:
        emr = emr_client(deployment.aws_conn_id, settings.region)
        return read_shape(emr, settings.like_cluster_id, settings.region, prices)
    return choose_shape(shape_wish(settings), prices, images=plan["todo"], rate_per_vcpu=rate)


def _allowed_hours(estimate: Estimate, settings: Settings) -> float:
    hours = allowed_hours(estimate, settings.budget_usd, settings.max_cluster_hours)
    if estimate.minutes > hours * 60:
        raise ValueError(
            f"the cluster is expected to run {estimate.minutes:.0f} min, and max_cluster_hours allows "
            f"{settings.max_cluster_hours} h: raise it, or raise max_nodes; no cluster was created"
        )
    return hours


def lease_cluster(
    deployment: Deployment, context: "Context", code_uri: str, model: dict[str, str], choice: dict[str, Any]
) -> dict[str, Any]:
    """End what an earlier try left, and name the cluster after the run and the try.

    Returns the cluster as RunJobFlow takes it, and the steps.
    """
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


def record_cost(deployment: Deployment, context: "Context", choice: dict[str, Any]) -> float:
    """Reckon what the run's clusters cost, write it down, and mail the results with it; returns US dollars."""
    place = run_place(deployment, context)
    run = place.run
    s3 = s3_client(deployment.aws_conn_id, place.region)
    published = is_published(s3, run)
    cost = _cost(deployment, place, context, choice, published=published)
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
    run_id, dag_id = context["run_id"], context["ti"].dag_id
    states = context["ti"].get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {})
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
        return f"the run was marked failed while {failed[0]} was at work; its cluster has ended"
    return None


def _cost(
    deployment: Deployment, place: RunPlace, context: "Context", choice: dict[str, Any], *, published: bool
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
    measured = measure(featurize, plan, shape, prices) if plan else None
    clusters = [
        read_cluster_cost(emr, cluster_id, prices, region=place.region, ebs_gb=shape.ebs_gb, now=now)
        for cluster_id in run_clusters(emr, _lease(deployment, run), began)
    ]
    facts = RunFacts(
        dag_id=context["ti"].dag_id,
        region=place.region,
        outcome="published" if published else "failed",
        images=featurize["featurized"] + featurize["rejected"] if featurize else 0,
        estimate=choice["estimate"],
    )
    record = cost_record(
        run, facts, clusters, prices_as_of=prices.as_of, spot_prices=spot_source(shape, prices), now=now
    )
    return {**record, "measured": measured.to_dict() if measured else choice["measured"]}


def mail_cluster_ready(deployment: Deployment, context: "Context") -> None:
    """Tell that the cluster takes steps; a callback of the task that waits for it."""
    try:
        ti = context["ti"]
        choice = ti.xcom_pull(task_ids="choose_cluster")
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

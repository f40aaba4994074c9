"""What the tasks do that decide on a run's place, and that work on Airflow's own machine."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from verger.artifacts.model_store import Model
from verger.cluster.instance_fleets import read_shape
from verger.cluster.shape import ClusterShape, choose_shape, shape_wish
from verger.cluster.steps import featurize_arguments, pca_arguments
from verger.cluster.throughput import choose_rate
from verger.cluster_tasks import terminate_cluster
from verger.cost.cluster_times import ClusterTimes, read_times
from verger.cost.reckoning import (
    Estimate,
    allowed_hours,
    check_budget,
    check_hours,
    describe_estimate,
    estimate_cost,
)
from verger.cost.run_cost import COST_FILE
from verger.cost.spot_prices import LOOK_BACK, with_spot_history
from verger.here.branching import NEXT
from verger.here.choice import (
    HereWork,
    choose,
    describe_choice,
    estimate_cluster,
    estimate_here,
    find_measured,
    rate_per_process,
)
from verger.here.machine import PlaceError, check_can_work, check_node_python, choose_processes, read_machine
from verger.here.program import HereFailedError, HereRefusedError, Program, run_program
from verger.here.record import CHOICE_FILE, HERE_FILE, here_record
from verger.plan.plan_space import on_disk, plan_limits
from verger.prices import PriceTable, load_prices
from verger.run.context import claim_folder, run_layout, run_settings
from verger.run.deployment import Deployment
from verger.run.eu_guard import OutsideEuError, is_local_endpoint
from verger.run.settings import CLUSTER_HOUR_BOUNDS, Settings
from verger.storage.aws_clients import emr_client, s3_client, spot_price_client, worker_environment
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_s3 import S3Client

    from verger.here.choice import PlaceEstimate

log = logging.getLogger(__name__)

_ON_CLUSTER, _HERE, _PUBLISH = "publish_code", "run_here", "publish_results"


@dataclass(frozen=True)
class ClusterChoice:
    """The cluster that a run would get.

    Attributes:
        shape, estimate: its machines and what they cost.
        times: how long it starts and ends.
        allowed_hours: how long it may live.
        refused: why there may be none; empty when there may.
    """

    shape: ClusterShape
    estimate: Estimate
    times: ClusterTimes
    allowed_hours: float
    refused: str


def choose_place(deployment: Deployment, context: "Context", plan: dict[str, Any]) -> dict[str, Any]:
    """Estimate both places, choose one, and refuse a cluster that is above the budget.

    Returns the cluster's shape, estimate and hours, what earlier runs measured, the plan's figures, and the task that
    goes on.
    """
    settings = run_settings(context)
    run = run_layout(settings, context)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    measured = last_measured(s3, run)
    try:
        times = read_times(s3, run.layout)
        cluster = _choose_cluster(deployment, settings, times, plan, measured["measured"])
        work, why_not = _work_here(deployment, settings, s3, plan, measured["measured_here"])
        estimates = _estimates(work, cluster, plan)
        where, why = choose(settings, *estimates, why_not)
        log.info("%s", describe_choice([each for each in estimates if each], where, why))
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    if where == "cluster" and cluster.refused:
        raise AirflowFailException(cluster.refused)
    choice = {
        "shape": cluster.shape.to_dict(),
        "estimate": cluster.estimate.to_dict(),
        "allowed_hours": cluster.allowed_hours,
        "refused": cluster.refused,
        **measured,
        "plan": {name: plan[name] for name in ("todo", "listed", "bytes_todo")},
    }
    # For the account, which must be drawn up also when a try of this task that failed has taken the answer back.
    write_json(s3, run.run_file(CHOICE_FILE), choice)
    return {**choice, NEXT: _HERE if where == "here" else _ON_CLUSTER}


def last_measured(s3: "S3Client", run: RunLayout) -> dict[str, dict[str, Any] | None]:
    """What the run before has measured of each place, or has taken over from the one before it."""
    latest = read_json(s3, run.layout.latest)
    cost = read_json(s3, RunLayout(run.layout, latest["run_id"]).run_file(COST_FILE)) if latest else None
    return {name: (cost or {}).get(name) for name in ("measured", "measured_here")}


def _choose_cluster(
    deployment: Deployment,
    settings: Settings,
    times: ClusterTimes,
    plan: dict[str, Any],
    measured: dict[str, Any] | None,
) -> ClusterChoice:
    prices = load_prices()
    kind = prices.instance_type(settings.instance_type, settings.region)
    rate, source = choose_rate(measured, plan, kind, settings.engine)
    shape = _shape(deployment, settings, prices, plan, rate)
    now = datetime.now(UTC)
    ec2 = spot_price_client(deployment.aws_conn_id, settings.region)
    estimate = estimate_cost(
        shape,
        with_spot_history(prices, ec2, shape, now - LOOK_BACK, now),
        images_todo=plan["todo"],
        images=plan["listed"],
        rate_per_vcpu=rate,
        held_minutes=settings.keep_for_demo_minutes,
        times=times,
    )
    log.info("%s\nthroughput: %s\n%s", "\n".join(describe_estimate(estimate)), source, times.describe())
    hours = allowed_hours(estimate, settings.budget_usd, settings.max_cluster_hours)
    return ClusterChoice(shape, estimate, times, hours, _refusal(estimate, settings))


def _refusal(estimate: Estimate, settings: Settings) -> str:
    try:
        check_budget(estimate, settings.budget_usd)
        check_hours(estimate, settings.max_cluster_hours, CLUSTER_HOUR_BOUNDS[1])
    except ValueError as error:
        return str(error)
    return ""


def _shape(
    deployment: Deployment, settings: Settings, prices: PriceTable, plan: dict[str, Any], rate: float
) -> ClusterShape:
    if settings.like_cluster_id:
        emr = emr_client(deployment.aws_conn_id, settings.region)
        return read_shape(emr, settings.like_cluster_id, settings.region, prices)
    return choose_shape(shape_wish(settings), prices, images=plan["todo"], rate_per_vcpu=rate)


def _work_here(
    deployment: Deployment,
    settings: Settings,
    s3: "S3Client",
    plan: dict[str, Any],
    measured: Mapping[str, Any] | None,
) -> tuple[HereWork | None, str]:
    """How the run would work on this machine, or why it cannot. Raises PlaceError when it has to and cannot."""
    if settings.compute == "cluster":
        return None, "compute = cluster"
    try:
        return find_work_here(deployment, settings, s3, plan, measured), ""
    except (PlaceError, OutsideEuError) as error:
        if settings.compute == "here":
            raise PlaceError(f"compute is 'here', but {error}") from error
        return None, str(error)


def find_work_here(
    deployment: Deployment,
    settings: Settings,
    s3: "S3Client",
    plan: Mapping[str, Any],
    measured: Mapping[str, Any] | None,
) -> HereWork:
    """How a run would work on this machine. Raises PlaceError or OutsideEuError when it cannot."""
    region = check_can_work(deployment, settings.engine, is_local=is_local_endpoint(s3.meta.endpoint_url))
    dearest = deployment.machine_usd_hour * settings.here_minutes / 60
    if dearest > settings.budget_usd:
        raise PlaceError(
            f"budget_usd is {settings.budget_usd:.2f}, and {settings.here_minutes} minutes of this machine cost "
            f"{dearest:.2f}: raise the budget, or lower here_minutes"
        )
    machine = read_machine()
    found = find_measured(measured, plan, machine, settings.engine)
    peak = found.worker_peak_mib if found else 0.0
    processes = choose_processes(machine, deployment.here_processes, plan["listed"], peak)
    rate, source = rate_per_process(found, plan)
    log.info("on this machine: %d processes, %.0f images/s each, %s", processes, rate, source)
    return HereWork(processes, rate * processes, region, deployment.machine_usd_hour)


def _estimates(
    work: HereWork | None, cluster: ClusterChoice, plan: dict[str, Any]
) -> "tuple[PlaceEstimate | None, PlaceEstimate]":
    here = estimate_here(work, plan["todo"], plan["listed"]) if work else None
    return here, estimate_cluster(cluster.estimate, cluster.times, plan["listed"])


def run_here(
    deployment: Deployment, context: "Context", model: dict[str, str], choice: dict[str, Any]
) -> dict[str, Any]:
    """Do both steps on this machine; returns how it went, and the task that goes on.

    What is not done when the time is over goes to the cluster. What is committed counts there.
    """
    settings = run_settings(context)
    run = run_layout(settings, context)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    # A try before, on another machine perhaps, may have left a cluster: on this way nobody else would end it.
    claim_folder(s3, deployment, run, context)
    terminate_cluster(deployment, context)
    try:
        # Not as it was when the place was chosen: this may be hours later, and another machine.
        work = find_work_here(deployment, settings, s3, choice["plan"], choice["measured_here"])
    except (PlaceError, OutsideEuError) as error:
        log.warning("this machine cannot do it any more: %s", error)
        return _on_cluster(choice)
    record = _work(deployment, settings, s3, run, Model(**model), work)
    return {**record, **(_on_cluster(choice) if record["outcome"] == "cut off" else {NEXT: _PUBLISH})}


def _on_cluster(choice: Mapping[str, Any]) -> dict[str, Any]:
    """What hands the rest on to a cluster, if there may be one."""
    if choice["refused"]:
        raise AirflowFailException(f"the rest needs a cluster: {choice['refused']}")
    log.warning("the rest goes to a cluster")
    return {NEXT: _ON_CLUSTER}


def _work(
    deployment: Deployment, settings: Settings, s3: "S3Client", run: RunLayout, model: Model, work: HereWork
) -> dict[str, Any]:
    """Run the program and record how it went, whatever becomes of it; the content of `here.json`."""
    began, clock = datetime.now(UTC), time.monotonic()
    outcome = "failed"
    record: dict[str, Any] = {}
    try:
        outcome = run_program(
            _program(deployment, settings, run, model, work),
            worker_environment(deployment.aws_conn_id, settings.region),
        )
    except HereRefusedError as error:
        raise AirflowFailException(str(error)) from error
    except HereFailedError as error:
        raise AirflowException(str(error)) from error
    finally:
        earlier = read_json(s3, run.run_file(HERE_FILE))
        # At once: the cluster's step writes its own progress there.
        progress = read_json(s3, run.run_file("featurize.progress.json"))
        record = here_record(run.run_id, work, outcome, began, time.monotonic() - clock, earlier, progress)
        write_json(s3, run.run_file(HERE_FILE), record)
    return record


def _program(deployment: Deployment, settings: Settings, run: RunLayout, model: Model, work: HereWork) -> Program:
    chunk = work.chunk_images(settings.chunk_images)
    return Program(
        python=check_node_python(deployment),
        home=deployment.home,
        processes=work.processes,
        seconds=settings.here_minutes * 60,
        featurize=[
            *featurize_arguments(settings, run, model, chunk_images=chunk),
            *("--work-folder", str(on_disk(plan_limits(deployment)).folder)),
        ],
        pca=pca_arguments(settings, run, model),
    )

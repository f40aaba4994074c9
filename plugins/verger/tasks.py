"""What each task of `fruits_features` does: reads the run's settings, calls the parts, and logs what a person wants."""

import logging
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.sdk.exceptions import AirflowFailException
from verger_rules.addresses import S3Address
from verger_rules.disk_database import DiskDatabaseError

from verger import preflight
from verger.arrivals.memory import remember_listing
from verger.artifacts.code_bundle import publish_code as put_code
from verger.artifacts.model_store import ensure_model
from verger.cluster.quotas import check_quotas, vcpus_needed
from verger.here.record import HERE_FILE
from verger.plan.bucket_state import state_at_once
from verger.plan.plan_space import plan_limits
from verger.prices import load_prices
from verger.publish.reconciliation import CountsDisagreeError
from verger.run.context import claim_folder, run_layout, run_settings
from verger.run.deployment import Deployment
from verger.run.eu_guard import LOCAL, is_local_endpoint
from verger.serve.run_note import SUMMARY_KEY, summarize
from verger.serve.tab import base_path, file_path, tab_path
from verger.storage.aws_clients import (
    arrow_filesystem,
    ec2_client,
    emr_client,
    program_environment,
    quotas_client,
    s3_client,
)
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import BucketLayout, RunLayout
from verger.storage.left_out import describe_reasons, summarize_left_out
from verger.sync.source_address import open_source, shown_source
from verger.sync.synchronize import synchronize

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_s3 import S3Client

    from verger.publish.results import PlaceFacts
    from verger.run.settings import Settings

log = logging.getLogger(__name__)


def check_settings(deployment: Deployment, context: "Context") -> dict[str, str]:
    """Check all that can be known beforehand, and claim the run's folder; returns the region of each resource."""
    settings = run_settings(context)
    run = run_layout(settings, context)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    prices = load_prices()
    try:
        preflight.check_installation(deployment)
        preflight.check_patience(settings, deployment)
        preflight.check_here(deployment, settings, s3)
        regions = preflight.check_inputs(s3, settings) | preflight.check_places(s3, deployment)
        emr = emr_client(deployment.aws_conn_id, settings.region)
        preflight.check_cluster(
            emr,
            partial(ec2_client, deployment.aws_conn_id, settings.region),
            settings,
            deployment,
            prices,
        )
        is_local = is_local_endpoint(emr.meta.endpoint_url)
        if not is_local:
            quotas = quotas_client(deployment.aws_conn_id, settings.region)
            need = vcpus_needed(preflight.largest_shape(emr, settings, prices), prices)
            check_quotas(quotas, need, settings.region)
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    claim_folder(s3, deployment, run, context)
    regions["cluster"] = LOCAL if is_local else settings.region
    log.info("settings are good; regions: %s", regions)
    return regions


def sync_images(deployment: Deployment, context: "Context") -> dict[str, int]:
    """Copy what changed from the source, if there is one; returns counts."""
    settings = run_settings(context)
    if not settings.source:
        log.info("no source is given: the bucket's pictures are taken as they are")
        return {}
    run = run_layout(settings, context)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    claim_folder(s3, deployment, run, context)
    try:
        with open_source(settings.source, s3, run.layout) as source:
            done = synchronize(
                s3,
                run.layout,
                source,
                delete_missing=settings.delete_missing,
                delete_more_than_half=settings.delete_more_than_half,
            )
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    # Before the pictures have been at rest for long: the watcher then finds nothing that it should start a run for.
    limits = plan_limits(deployment)
    look = partial(state_at_once, deployment.aws_conn_id, settings.region, run.layout, limits)
    remember_listing(deployment, settings, context, lambda: look().digest)
    record = run.left_out_of_source
    write_json(s3, record, {"run_id": run.run_id, "source": shown_source(settings.source), **done.to_dict()})
    log_left_out("the source", summarize_left_out(done.left_out), record)
    counts = done.counts()
    log.info("%s", counts)
    return counts


def publish_model(deployment: Deployment, context: "Context") -> dict[str, str]:
    """Find or prepare the model; returns its fingerprint, address and kind of weights."""
    settings = run_settings(context)
    layout = BucketLayout(settings.bucket, settings.images_prefix)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    environment = program_environment(deployment.aws_conn_id, settings.region)
    try:
        model = ensure_model(s3, layout, deployment, settings.weights, environment)
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    log.info("model %s, weights: %s", model.fingerprint, model.weights)
    return asdict(model)


def log_left_out(place: str, summary: dict[str, Any], record: S3Address) -> None:
    """Tell what was left out of a source or a bucket, and which record names it all."""
    for line in describe_reasons(summary):
        log.warning("of %s: %s", place, line)
    if summary["files"]:
        log.warning("of %s: %d files left out in all; %s names them", place, summary["files"], record.uri)


def publish_code(deployment: Deployment, context: "Context") -> str:
    """Publish what the cluster runs; returns its folder's address."""
    settings = run_settings(context)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    uri = put_code(s3, BucketLayout(settings.bucket, settings.images_prefix), deployment.home)
    log.info("code: %s", uri)
    return uri


def publish_results(deployment: Deployment, context: "Context", cluster_id: str | None, regions: dict[str, str]) -> str:
    """Check the counts and publish; returns the address of the results. `cluster_id` is None for a run without one."""
    # Brings matplotlib, which the DAG processor should not load each time that it reads the DAG.
    from verger.publish import results  # noqa: PLC0415

    settings = run_settings(context)
    run = run_layout(settings, context)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    try:
        description = results.publish(
            s3,
            arrow_filesystem(deployment.aws_conn_id, settings.region),
            run,
            settings,
            place=_place_facts(deployment, settings, s3, run, cluster_id, regions),
            published_at=now(),
            limits=plan_limits(deployment),
        )
    except (CountsDisagreeError, results.StepOutputMissingError, DiskDatabaseError) as error:
        raise AirflowFailException(str(error)) from error
    for warning in description["warnings"]:
        log.warning("%s", warning)
    log.info("published %s: %s", run.results_uri, description["counts"])
    context["ti"].xcom_push(key=SUMMARY_KEY, value=_summary(description, context))
    return run.results_uri


def _place_facts(
    deployment: Deployment,
    settings: "Settings",
    s3: "S3Client",
    run: RunLayout,
    cluster_id: str | None,
    regions: dict[str, str],
) -> "PlaceFacts":
    from verger.publish.results import PlaceFacts, describe_cluster  # noqa: PLC0415 -- as above

    here = read_json(s3, run.run_file(HERE_FILE))
    known = {name: region for name, region in regions.items() if name != "cluster" or cluster_id}
    if here:
        known["machine"] = here["region"]
    if not cluster_id:
        return PlaceFacts(known, here=here)
    emr = emr_client(deployment.aws_conn_id, settings.region)
    return PlaceFacts(known, describe_cluster(emr.describe_cluster(ClusterId=cluster_id)["Cluster"]), here)


def _summary(description: dict[str, Any], context: "Context") -> str:
    base = base_path(conf.get("api", "base_url", fallback=""))
    of_run = context["ti"].dag_id, str(context["run_id"])
    return summarize(description, tab=tab_path(*of_run, base), picture=file_path(*of_run, "map.svg", base))


def now() -> str:
    """This moment, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")

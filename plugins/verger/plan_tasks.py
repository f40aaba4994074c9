"""The task `plan_run`: list the pictures, freeze the list, and count the work; out of core, whatever their number."""

import logging
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException
from obstore.store import S3Store
from verger_rules.addresses import parse_uri

from verger.arrivals.memory import remember_listing
from verger.plan.bucket_state import list_pictures
from verger.plan.components import check_known_rejects, components_warning
from verger.plan.feature_table import read_done
from verger.plan.frozen_list import deciding, freeze_list, read_previous
from verger.plan.inventory import newest_inventory, objects_of
from verger.plan.listing import Listing, check_any_image, newer_objects
from verger.plan.plan_space import PlanSpace, plan_limits, plan_space
from verger.plan.planning import Plan, list_inventory, make_plan, redecoded_warning, write_left_out
from verger.plan.same_bytes import same_bytes_warning
from verger.run.claim import give_back
from verger.run.context import claim_folder, run_layout, run_settings
from verger.run.deployment import Deployment
from verger.run.settings import Settings
from verger.storage.aws_clients import arrow_filesystem, bucket_store, feature_table_place, s3_client
from verger.storage.json_objects import read_json
from verger.storage.layout import BucketLayout, RunLayout
from verger.tasks import log_left_out, now

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_s3 import S3Client
    from pyarrow.fs import FileSystem

log = logging.getLogger(__name__)


def plan_run(deployment: Deployment, context: "Context", model: dict[str, str]) -> dict[str, Any]:
    """Freeze the manifest and count the work; returns an empty dict when nothing changed.

    A run that ends here gives its folder back, unless it has left something there (run/claim.py).
    """
    settings = run_settings(context)
    run = run_layout(settings, context)
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    holder = claim_folder(s3, deployment, run, context)
    try:
        plan = _plan(deployment, context, settings, run, model["fingerprint"])
    except AirflowFailException:
        give_back(s3, run, holder)
        raise
    if not plan:
        give_back(s3, run, holder)
    return plan


def _plan(
    deployment: Deployment, context: "Context", settings: Settings, run: RunLayout, fingerprint: str
) -> dict[str, Any]:
    s3 = s3_client(deployment.aws_conn_id, settings.region)
    filesystem = arrow_filesystem(deployment.aws_conn_id, settings.region)
    latest = read_json(s3, run.layout.latest)
    before = RunLayout(run.layout, latest["run_id"]).run_file("manifest.parquet") if latest else None
    table = feature_table_place(deployment.aws_conn_id, settings.region, run.layout.feature_table(fingerprint))
    try:
        with plan_space(plan_limits(deployment)) as space:
            left_out = _list_bucket(deployment, settings, s3, filesystem, run, space)
            read_done(filesystem, table, space)
            # Of the run that `latest.json` points to: what is gone is gone since then.
            read_previous(filesystem, before, space)
            frozen = freeze_list(space, deciding(fingerprint, settings))
            named = {"run_id": run.run_id, "fingerprint": fingerprint, "created_at": now()}
            plan = make_plan(space, frozen, settings, left_out=left_out, **named)
            if not _by_inventory(deployment, settings):
                # An inventory is of another moment than what the watcher sees.
                remember_listing(deployment, settings, context, lambda: frozen.listing_digest)
            _log_plan(plan, settings)
            if not settings.force and not plan.todo and latest and latest["inputs_digest"] == plan.inputs_digest:
                told = "nothing changed since run %s: no cluster, no cost; see %s"
                log.info(told, latest["run_id"], latest["results_uri"])
                return {}
            # Not before: a run that has nothing to do fails for no reject.
            check_known_rejects(plan.listed, plan.featurizable, settings)
            _freeze(s3, run, frozen.file, plan)
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    return asdict(plan)


def _list_bucket(
    deployment: Deployment,
    settings: Settings,
    s3: "S3Client",
    filesystem: "FileSystem",
    run: RunLayout,
    space: PlanSpace,
) -> int:
    """List the pictures; how many files were left out."""
    layout = run.layout
    store = bucket_store(deployment.aws_conn_id, settings.region, layout.bucket)
    started = time.monotonic()
    if _by_inventory(deployment, settings):
        listing = _list_inventory(deployment, s3, filesystem, store, layout, space)
    else:
        listing = list_pictures(s3, store, layout, space)
        if listing.why_slow:
            log.warning("listed by boto3, three minutes per million, for a key that needs it: %s", listing.why_slow)
    log.info("%d pictures listed in %.1f s", listing.images, time.monotonic() - started)
    # Also when nothing is to do: what was left out was left out now.
    left_out = write_left_out(s3, run, listing.left_out)
    log_left_out(layout.address(layout.images_prefix).uri, left_out, run.left_out_of_bucket)
    check_any_image(listing, layout)
    return int(left_out["files"])


def _by_inventory(deployment: Deployment, settings: Settings) -> bool:
    """An inventory is of one bucket and of an earlier moment: a run on another one, or that has copied, lists."""
    return deployment.inventory_uri is not None and settings.bucket == deployment.bucket and not settings.source


def _list_inventory(
    deployment: Deployment,
    s3: "S3Client",
    filesystem: "FileSystem",
    store: S3Store,
    layout: BucketLayout,
    space: PlanSpace,
) -> Listing:
    folder, oldest = parse_uri(deployment.inventory_uri or ""), timedelta(hours=deployment.inventory_hours)
    inventory = newest_inventory(s3, folder, layout.bucket, datetime.now(UTC), oldest)
    listing = list_inventory(
        partial(objects_of, filesystem, inventory, layout.images_prefix),
        partial(newer_objects, store, s3, layout),
        layout,
        space,
    )
    log.warning(
        "the list is the S3 Inventory of %s (%s), with new labels and what comes after the last key of each: other "
        "pictures that were stored, changed or deleted since then are seen with the next inventory",
        inventory.made_at.isoformat(timespec="minutes"),
        inventory.manifest.uri,
    )
    if listing.why_slow:
        log.warning("nothing newer than the inventory was looked for: %s", listing.why_slow)
    return listing


def _freeze(s3: "S3Client", run: RunLayout, manifest: Path, plan: Plan) -> None:
    at, description = run.run_file("manifest.parquet"), run.run_file("plan.json")
    s3.upload_file(str(manifest), at.bucket, at.key)
    s3.put_object(Bucket=description.bucket, Key=description.key, Body=plan.to_json())


def _log_plan(plan: Plan, settings: Settings) -> None:
    told = "%d images: %d new, %d changed, %d gone since the last run"
    log.info(told, plan.listed, plan.new, plan.changed, plan.gone)
    if plan.redecoded:
        log.warning("%s", redecoded_warning(plan.redecoded))
    if of_components := components_warning(plan.featurizable, plan.different, settings):
        log.warning("%s", of_components)
    same = plan.same_bytes
    if same["images"]:
        log.warning("%s", same_bytes_warning(same["images"]))
    for paths in same["examples"]:
        log.warning("the same bytes: %s", ", ".join(map(repr, paths)))

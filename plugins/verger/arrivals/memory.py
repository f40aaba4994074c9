"""Tells the watcher which pictures a run has seen."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from verger.arrivals.watcher import SEEN
from verger.run.deployment import Deployment
from verger.run.settings import Settings

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def remember_listing(deployment: Deployment, settings: Settings, context: "Context", digest: Callable[[], str]) -> None:
    """Write down what this run works with, so that the watcher starts no other run for the same pictures.

    Does nothing for a run on other pictures than the watched ones. `digest` is that of its `BucketState`.
    """
    watched = (deployment.bucket, deployment.images_prefix)
    if not deployment.watch_seconds or (settings.bucket, settings.images_prefix) != watched:
        return
    try:
        context["asset_state_store"].set(SEEN, digest())
    except Exception as error:  # noqa: BLE001 -- Airflow's channel has many errors; at worst a run too many ends at once
        log.warning("the watcher could not be told which pictures this run has seen: %s", error)

"""When a run starts by itself, as the installation wants it."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.exceptions import AirflowTimetableInvalid
from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable
from airflow.timetables.trigger import CronTriggerTimetable as ScheduledTimetable

from verger.arrivals.watcher import NewPicturesTrigger, QueuedPicturesTrigger
from verger.run.deployment import Deployment

if TYPE_CHECKING:
    from airflow.triggers.base import BaseEventTrigger

#: The name of the installation's pictures among Airflow's assets.
PICTURES = "verger_pictures"


def pictures_asset(deployment: Deployment) -> Asset | None:
    """The installation's pictures, watched; None when it has no bucket of its own, or shall not watch it."""
    if not deployment.bucket or not deployment.watch_seconds:
        return None
    return Asset(
        name=PICTURES,
        # Airflow takes ASCII only.
        uri=f"s3://{deployment.bucket}/{quote(deployment.images_prefix)}",
        watchers=[AssetWatcher(name="new_pictures", trigger=_trigger(deployment))],
    )


def _trigger(deployment: Deployment) -> "BaseEventTrigger":
    watched: dict[str, Any] = {
        "bucket": deployment.bucket,
        "images_prefix": deployment.images_prefix,
        "region": deployment.region,
        "aws_conn_id": deployment.aws_conn_id,
        "poll_seconds": deployment.watch_seconds,
        "quiet_seconds": deployment.quiet_seconds,
        "spill_folder": str(deployment.spill_folder) if deployment.spill_folder else None,
        "plan_memory_mib": deployment.plan_memory_mib,
    }
    if deployment.queue_url:
        return QueuedPicturesTrigger(queue_url=deployment.queue_url, **watched)
    return NewPicturesTrigger(**watched)


def run_schedule(deployment: Deployment, pictures: Asset | None) -> Any:  # noqa: ANN401 -- whatever @dag takes
    """New pictures, a time, both or nothing; raises ValueError for a time that is none."""
    if not deployment.schedule:
        return [pictures] if pictures else None
    try:
        ScheduledTimetable(deployment.schedule, timezone="UTC").validate()
    except AirflowTimetableInvalid as error:
        raise ValueError(
            f"VERGER_SCHEDULE is {deployment.schedule!r}: write a cron expression, for example 0 3 * * *, or @daily"
        ) from error
    clock = CronTriggerTimetable(deployment.schedule, timezone="UTC")
    return AssetOrTimeSchedule(timetable=clock, assets=[pictures]) if pictures else clock

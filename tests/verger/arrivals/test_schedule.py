"""When a run starts by itself."""

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
from verger.arrivals.schedule import pictures_asset, run_schedule
from verger.arrivals.watcher import NewPicturesTrigger, QueuedPicturesTrigger
from verger.plan.plan_space import PlanLimits
from verger.run.deployment import Deployment


def deployment(**variables: str) -> Deployment:
    return Deployment.from_environment({f"VERGER_{name}": value for name, value in variables.items()})


def schedule(**variables: str) -> Any:
    found = deployment(**variables)
    return run_schedule(found, pictures_asset(found))


def test_without_a_bucket_nothing_starts_by_itself() -> None:
    assert schedule() is None


@pytest.mark.parametrize(
    ("variables", "trigger"),
    [({}, NewPicturesTrigger), ({"QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/q"}, QueuedPicturesTrigger)],
)
def test_a_queue_spares_listing_the_bucket(variables: dict[str, str], trigger: type) -> None:
    asset = pictures_asset(deployment(BUCKET="fruits", IMAGES_PREFIX="Früchte 1/", **variables))
    assert asset is not None
    assert [type(watcher.trigger) for watcher in asset.watchers] == [trigger]
    assert asset.uri.isascii()


def test_the_watcher_lists_in_the_folder_and_the_memory_of_the_installation() -> None:
    asset = pictures_asset(deployment(BUCKET="fruits", SPILL_FOLDER="/large disk", PLAN_MEMORY_MIB="512"))
    assert asset is not None
    (watcher,) = asset.watchers
    assert isinstance(watcher.trigger, NewPicturesTrigger)
    assert watcher.trigger.watched.limits == PlanLimits(Path("/large disk"), 512)


def test_the_watcher_can_be_switched_off() -> None:
    assert schedule(BUCKET="fruits", WATCH_SECONDS="0") is None
    assert isinstance(schedule(BUCKET="fruits", WATCH_SECONDS="0", SCHEDULE="@daily"), CronTriggerTimetable)


def test_pictures_and_the_clock_can_both_start_runs() -> None:
    both = schedule(BUCKET="fruits", SCHEDULE="0 3 * * *")
    assert isinstance(both, AssetOrTimeSchedule)


@pytest.mark.parametrize("words", ["at three", "99 3 * * *", "@sometimes"])
def test_a_time_that_is_none_is_one_clear_error(words: str) -> None:
    with pytest.raises(ValueError, match=r"VERGER_SCHEDULE is .*write a cron expression"):
        schedule(BUCKET="fruits", SCHEDULE=words)


def test_settings_that_cannot_start_anything_are_refused() -> None:
    with pytest.raises(ValueError, match="Set VERGER_BUCKET as well"):
        deployment(SCHEDULE="@daily")
    with pytest.raises(ValueError, match="VERGER_QUEUE_URL is 'new-pictures'"):
        deployment(BUCKET="fruits", QUEUE_URL="new-pictures")

"""The watcher on a real S3 and a real SQS, in a real event loop; only the asset's state store is a dict."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from mypy_boto3_s3 import S3Client
from verger.arrivals import watcher
from verger.arrivals.watcher import SEEN, NewPicturesTrigger, QueuedPicturesTrigger
from verger.plan.bucket_state import state_page_by_page
from verger.plan.plan_space import PlanLimits
from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

QUIET = 0.3


class Store:
    """An asset's state store."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.kept[key] = value


def watched(bucket: str, **other: Any) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "images_prefix": "images/",
        "region": "eu-west-1",
        "aws_conn_id": None,
        "poll_seconds": 0.05,
        "quiet_seconds": QUIET,
        **other,
    }


@pytest.fixture
def trigger(bucket: str) -> NewPicturesTrigger:
    made = NewPicturesTrigger(**watched(bucket))
    made.asset_state_store = Store()  # type: ignore[assignment] # what Airflow injects
    return made


class Watching:
    """A trigger that runs in the background; counts its events."""

    def __init__(self, trigger: NewPicturesTrigger) -> None:
        self.trigger = trigger
        self.events: list[TriggerEvent] = []
        self._fired = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for event in self.trigger.run():
            self.events.append(event)
            self._fired.set()

    async def settle(self, seconds: float = 3 * QUIET) -> int:
        """Let some time pass; returns how many events there have been."""
        await asyncio.sleep(seconds)
        assert not self._task.done(), self._task.exception()
        return len(self.events)

    async def until(self, events: int) -> None:
        """Wait for so many events."""
        async with asyncio.timeout(15):
            while len(self.events) < events:
                self._fired.clear()
                await self._fired.wait()

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def put(s3: S3Client, bucket: str, name: str, body: bytes = b"x") -> None:
    s3.put_object(Bucket=bucket, Key=f"images/{name}", Body=body)


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_new_overwritten_and_deleted_pictures_each_fire_once_and_the_same_again_does_not(
    s3: S3Client, bucket: str, trigger: NewPicturesTrigger
) -> None:
    async def scene() -> None:
        watching = Watching(trigger)
        assert await watching.settle() == 0
        put(s3, bucket, "a/1.jpg")
        put(s3, bucket, "a/2.jpg")
        await watching.until(1)
        assert await watching.settle() == 1
        put(s3, bucket, "a/1.jpg", b"another")
        await watching.until(2)
        put(s3, bucket, "a/1.jpg", b"another")
        s3.put_object(Bucket=bucket, Key="results/x.json", Body=b"not a picture's place")
        assert await watching.settle() == 2
        s3.delete_object(Bucket=bucket, Key="images/a/2.jpg")
        await watching.until(3)
        assert watching.events[-1].payload["pictures"] == 1
        await watching.stop()

    run(scene())


def test_a_folder_that_is_still_arriving_fires_once_when_it_is_there(
    s3: S3Client, bucket: str, trigger: NewPicturesTrigger
) -> None:
    async def scene() -> None:
        watching = Watching(trigger)
        for number in range(8):
            put(s3, bucket, f"a/{number}.jpg")
            assert await watching.settle(QUIET / 3) == 0
        await watching.until(1)
        assert watching.events[0].payload["pictures"] == 8
        assert await watching.settle() == 1
        await watching.stop()

    run(scene())


def test_what_a_run_has_seen_does_not_fire_and_a_new_triggerer_remembers(
    s3: S3Client, bucket: str, trigger: NewPicturesTrigger
) -> None:
    async def scene() -> None:
        put(s3, bucket, "a/1.jpg")
        store = trigger.asset_state_store
        assert store
        await store.aset(SEEN, state_page_by_page(s3, BucketLayout(bucket), PlanLimits()).digest)
        watching = Watching(trigger)
        assert await watching.settle() == 0
        put(s3, bucket, "a/2.jpg")
        await watching.until(1)
        await watching.settle()
        await watching.stop()
        again = NewPicturesTrigger(**trigger.serialize()[1])
        again.asset_state_store = store
        watching = Watching(again)
        assert await watching.settle() == 0
        await watching.stop()

    run(scene())


def test_an_emptied_bucket_starts_no_run_that_could_only_fail(
    s3: S3Client, bucket: str, trigger: NewPicturesTrigger
) -> None:
    async def scene() -> None:
        put(s3, bucket, "a/1.jpg")
        watching = Watching(trigger)
        await watching.until(1)
        s3.delete_object(Bucket=bucket, Key="images/a/1.jpg")
        assert await watching.settle() == 1
        put(s3, bucket, "a/1.jpg")
        await watching.until(2)
        await watching.stop()

    run(scene())


def test_it_outlives_an_s3_and_an_airflow_that_do_not_answer(
    s3: S3Client, bucket: str, trigger: NewPicturesTrigger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        put(s3, bucket, "a/1.jpg")

        def gone(*_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="nowhere")

        with monkeypatch.context() as broken:
            broken.setattr(watcher, "s3_client", gone)
            watching = Watching(trigger)
            assert await watching.settle(QUIET) == 0
        store = trigger.asset_state_store
        trigger.asset_state_store = None
        assert await watching.settle(2 * QUIET) == 0
        trigger.asset_state_store = store
        await watching.until(1)
        assert await watching.settle() == 1
        await watching.stop()

    run(scene())


def test_airflow_can_make_each_trigger_again_from_what_it_stores(bucket: str) -> None:
    for made in (NewPicturesTrigger(**watched(bucket)), QueuedPicturesTrigger("https://q", **watched(bucket))):
        path, keywords = made.serialize()
        module, _, name = path.rpartition(".")
        assert (module, getattr(watcher, name)) == ("verger.arrivals.watcher", type(made))
        assert type(made)(**keywords).serialize() == made.serialize()


def test_with_a_queue_the_bucket_is_listed_when_it_rings_and_messages_that_change_nothing_fire_nothing(
    s3: S3Client, bucket: str, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs = boto3.client("sqs", endpoint_url=aws, region_name="eu-west-1")
    url = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]
        },
    )
    listings = 0

    def counted(*arguments: Any) -> Any:
        nonlocal listings
        listings += 1
        return state_page_by_page(*arguments)

    monkeypatch.setattr(watcher, "state_page_by_page", counted)
    monkeypatch.setattr(watcher, "_LONG_POLL_SECONDS", 1)

    async def scene() -> None:
        made = QueuedPicturesTrigger(url, **watched(bucket))
        made.asset_state_store = Store()  # type: ignore[assignment] # what Airflow injects
        watching = Watching(made)
        while not listings:
            await watching.settle(0.1)
        assert await watching.settle(1) == 0
        assert listings == 1
        for number in range(25):
            put(s3, bucket, f"a/{number}.jpg")
        await watching.until(1)
        assert watching.events[0].payload["pictures"] == 25
        assert await watching.settle(2) == 1
        put(s3, bucket, "a/1.jpg")  # the same bytes
        assert await watching.settle(2.5) == 1
        s3.delete_object(Bucket=bucket, Key="images/a/1.jpg")
        await watching.until(2)
        await watching.settle(2)
        await watching.stop()
        left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        assert left == {"ApproximateNumberOfMessages": "0"}

    run(scene())

"""Watches the bucket from Airflow's triggerer: an event for each new state of the pictures that has come to rest."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from verger.arrivals.quiet_window import QuietWindow
from verger.plan.bucket_state import EMPTY, BucketState, state_page_by_page
from verger.plan.plan_space import PlanLimits
from verger.storage.aws_clients import s3_client
from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Where the digest of the pictures that a run was started for, or has planned with, stands in the asset's state store.
SEEN = "listing_digest"
#: SQS holds a request open for at most this long (https://docs.aws.amazon.com/AWSSimpleQueueService, ReceiveMessage).
_LONG_POLL_SECONDS = 20
_MESSAGES_A_REQUEST = 10


@dataclass(frozen=True)
class Watched:
    """What a trigger watches, and how patiently.

    Attributes:
        bucket: the bucket.
        images_prefix: the prefix of its pictures, ending in `/`.
        region: the bucket's region.
        aws_conn_id: Airflow's connection to AWS; None for boto3's own search for credentials.
        poll_seconds: how often the bucket is listed, or how long to wait after AWS did not answer.
        quiet_seconds: how long nothing may change before a run starts.
        spill_folder, plan_memory_mib: where and in how much memory listings are sorted (run/deployment.py).
    """

    bucket: str
    images_prefix: str
    region: str
    aws_conn_id: str | None
    poll_seconds: float
    quiet_seconds: float
    spill_folder: str | None = None
    plan_memory_mib: int = PlanLimits.memory_mib

    @property
    def limits(self) -> PlanLimits:
        """What a listing may use of this machine."""
        return PlanLimits(Path(self.spill_folder) if self.spill_folder else None, self.plan_memory_mib)


class NewPicturesTrigger(BaseEventTrigger):
    """Lists the bucket again and again; fires when the pictures are others than those seen, and at rest.

    What was seen outlives the triggerer in the asset's state store. Runs write what they plan with there as well
    (`remember_listing`), so pictures that a run itself copied start no other.
    """

    def __init__(self, **watched: Any) -> None:  # noqa: ANN401 -- Watched's own keywords, as Airflow stored them
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's
        self.watched = Watched(**watched)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow makes this trigger again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", asdict(self.watched)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event for each new state of the pictures, for ever."""
        fired: TriggerEvent | None = None
        while True:
            try:
                if fired is not None:
                    # Not before it was fired: a triggerer that dies in between fires twice, and the second run ends
                    # at once, for free.
                    await self._remember(fired.payload["digest"])
                fired = None
                fired = await self._next_event()
            # A watcher that died of an error, of AWS, of the network or of Airflow's own API, would watch no more.
            except Exception as error:  # noqa: BLE001
                self.log.warning(
                    "s3://%s cannot be watched, trying again in %.0f s: %s: %s",
                    self.watched.bucket,
                    self.watched.poll_seconds,
                    type(error).__name__,
                    error,
                )
                await asyncio.sleep(self.watched.poll_seconds)
                continue
            yield fired

    async def _next_event(self) -> TriggerEvent:
        window = QuietWindow(self.watched.quiet_seconds)
        await self._wait_for_quiet()
        while True:
            state = await asyncio.to_thread(self._look)
            missing = window.observe(state.digest, time.monotonic())
            if state.digest == await self._seen():
                await self._wait_for_news()
            elif missing > 0 and not self._quiet_is_known():
                await asyncio.sleep(min(missing, self.watched.poll_seconds))
            elif not state.pictures:
                # Nothing to make a matrix of: a run could only fail.
                await self._remember(state.digest)
            else:
                self.log.info("s3://%s: %d pictures, changed and at rest", self.watched.bucket, state.pictures)
                news = {"bucket": self.watched.bucket, "pictures": state.pictures, "digest": state.digest}
                return TriggerEvent(news)  # type: ignore[no-untyped-call] # Airflow's

    async def _wait_for_quiet(self) -> None:
        """Wait, before the first listing, until nothing changes any more, where that can be known without listing."""

    def _quiet_is_known(self) -> bool:
        """Whether one listing is enough, because the wait before it has seen to the quiet."""
        return False

    async def _wait_for_news(self) -> None:
        """Wait until it is worth while to list again."""
        await asyncio.sleep(self.watched.poll_seconds)

    @cached_property
    def _s3(self) -> "S3Client":
        return s3_client(self.watched.aws_conn_id, self.watched.region)

    def _look(self) -> BucketState:
        layout = BucketLayout(self.watched.bucket, self.watched.images_prefix)
        return state_page_by_page(self._s3, layout, self.watched.limits)

    async def _seen(self) -> str:
        if self.asset_state_store is None:
            raise RuntimeError("this trigger belongs to no asset: it cannot remember what it saw")
        # Before anything was seen, the bucket counts as empty: pictures that were there first are new.
        return str(await self.asset_state_store.aget(SEEN, EMPTY.digest))

    async def _remember(self, digest: str) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(SEEN, digest)


class QueuedPicturesTrigger(NewPicturesTrigger):
    """Lists the bucket only when S3's notifications in an SQS queue say that something changed.

    The messages are a doorbell and no more: they are deleted as they come, and the listing says what there is. So it
    does not matter when one is lost, comes twice, or is of pictures that a run copied itself.
    """

    def __init__(self, queue_url: str, **watched: Any) -> None:  # noqa: ANN401 -- as above
        super().__init__(**watched)
        self.queue_url = queue_url

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow makes this trigger again."""
        path, keywords = super().serialize()
        return path, {"queue_url": self.queue_url, **keywords}

    def _quiet_is_known(self) -> bool:
        return True

    async def _wait_for_quiet(self) -> None:
        await self._drain()

    async def _wait_for_news(self) -> None:
        sqs = self._queue(_LONG_POLL_SECONDS)
        async with await sqs.hook.get_async_conn() as client:  # type: ignore[no-untyped-call] # Airflow's
            while not await sqs.poke(client):
                pass
        await self._drain()

    async def _drain(self) -> None:
        """Take messages until none came for the time of quiet."""
        quiet = self.watched.quiet_seconds
        sqs = self._queue(max(1, min(_LONG_POLL_SECONDS, int(quiet))))
        async with await sqs.hook.get_async_conn() as client:  # type: ignore[no-untyped-call] # Airflow's
            last = time.monotonic()
            while True:
                if await sqs.poke(client):
                    last = time.monotonic()
                elif time.monotonic() - last >= quiet:
                    return

    def _queue(self, wait_seconds: int) -> SqsSensorTrigger:
        # The provider's own trigger takes and deletes the messages; alone, it would start a run with the first of them.
        return SqsSensorTrigger(
            sqs_queue=self.queue_url,
            aws_conn_id=self.watched.aws_conn_id,
            region_name=self.watched.region,
            max_messages=_MESSAGES_A_REQUEST,
            wait_time_seconds=wait_seconds,
        )

"""What the deferred sensors wait with, in Airflow's triggerer."""

import asyncio
from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.amazon.aws.hooks.emr import EmrHook
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.providers.amazon.aws.triggers.emr import EmrStepSensorTrigger
from airflow.triggers.base import TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from verger.cluster.progress import describe_seconds
from verger.cluster.stall import Stall, StallBounds
from verger.cluster.step_logs import step_log_address
from verger.cluster.step_signs import StepWork, read_progress, read_stall, step_work
from verger.storage.aws_clients import emr_client, s3_client

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient
    from mypy_boto3_s3 import S3Client

#: The status of the event of a wait that gave its step up.
STALLED = "stalled"


class FirstLookLaterTrigger(AwsBaseWaiterTrigger):
    """Looks for the first time one poll after it began: the sensor has just looked itself.

    A wait that ends before the scheduler has seen its worker leave is taken for a task that was killed
    (https://github.com/apache/airflow/issues/72716), and a worker that copies its task's log to S3 needs seconds to.
    """

    aws_hook_class = EmrHook

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when the wait is over."""
        await asyncio.sleep(self.waiter_delay)
        async for event in super().run():
            yield event


class ClusterReadyTrigger(FirstLookLaterTrigger):
    """Waits until a cluster takes steps; the provider's own trigger for clusters waits for their end."""

    def __init__(
        self,
        job_flow_id: str,
        waiter_delay: int,
        waiter_max_attempts: int,
        aws_conn_id: str | None = None,
        region_name: str | None = None,
    ) -> None:
        super().__init__(
            serialized_fields={"job_flow_id": job_flow_id},
            waiter_name="job_flow_waiting",
            waiter_args={"ClusterId": job_flow_id},
            failure_message=f"cluster {job_flow_id} did not become ready",
            status_message=f"cluster {job_flow_id} is not ready yet",
            status_queries=["Cluster.Status.State", "Cluster.Status.StateChangeReason.Message"],
            return_value=job_flow_id,
            waiter_delay=waiter_delay,
            waiter_max_attempts=waiter_max_attempts,
            aws_conn_id=aws_conn_id,
            region_name=region_name,
        )


class StepProgressTrigger(FirstLookLaterTrigger, EmrStepSensorTrigger):
    """Waits for a step; writes its progress to the task's log, and says when nothing moves any more.

    What it has seen it reads anew at each look: a triggerer that starts again comes to the same.

    Args:
        tell_seconds: the log says after so many seconds, and after each multiple, that the step stands still.
        end_seconds: after so many the wait ends with the status STALLED; 0 for never.
        step: EmrStepSensorTrigger's own keywords.
    """

    def __init__(self, tell_seconds: float, end_seconds: float, **step: Any) -> None:  # noqa: ANN401 -- the provider's
        super().__init__(**step)
        self.serialized_fields |= {"tell_seconds": tell_seconds, "end_seconds": end_seconds}
        self.bounds = StallBounds.of_minutes(tell_seconds / 60, end_seconds / 60)
        self._told = 0
        self._line = ""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when the step has ended or is to be given up."""
        waits = [asyncio.create_task(self._ended()), asyncio.create_task(self._given_up())]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            # In doubt the step's end counts.
            yield next(wait for wait in waits if wait in done).result()
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def on_kill(self) -> None:
        """Cancel the step: a person marked or cleared its task, and nobody waits for it any more.

        Where Airflow marks the teardown along with it ("downstream"), this leaves the cluster idle, and EMR ends it.
        What the step has committed counts.
        """
        await asyncio.to_thread(self._cancel)

    def _cancel(self) -> None:
        cluster_id, step_id = self.serialized_fields["job_flow_id"], self.serialized_fields["step_id"]
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        answer = emr.cancel_steps(ClusterId=cluster_id, StepIds=[step_id], StepCancellationOption="TERMINATE_PROCESS")
        for told in answer["CancelStepsInfoList"]:
            self.log.info("step %s is to end: %s %s", step_id, told["Status"], told.get("Reason", ""))

    async def _ended(self) -> TriggerEvent:
        async for event in super().run():
            return event
        raise RuntimeError("the wait for the step ended without a word")

    async def _given_up(self) -> TriggerEvent:
        while True:
            await asyncio.sleep(self.waiter_delay)
            try:
                stall = await asyncio.to_thread(self._look)
            except (BotoCoreError, ClientError, ValueError, KeyError, TypeError) as error:
                # What cannot be read says nothing about the step: it must not end the wait for it.
                self.log.warning("no progress: %s", error)
                continue
            if stall is not None and stall.is_over(self.bounds):
                return TriggerEvent({"status": STALLED, "message": stall.describe()})  # type: ignore[no-untyped-call] # Airflow's

    @cached_property
    def _clients(self) -> "tuple[EMRClient, S3Client]":
        """Made once: each new client writes lines of its own to the task's log."""
        region = str(self.region_name)
        return emr_client(self.aws_conn_id, region), s3_client(self.aws_conn_id, region)

    def _look(self) -> Stall | None:
        """Tell what is new; returns how long the step stands still, None while it does not run."""
        emr, s3 = self._clients
        cluster_id, step_id = self.serialized_fields["job_flow_id"], self.serialized_fields["step_id"]
        work = step_work(cast("Any", emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"]))
        if work is None:
            return None
        seen = read_progress(s3, work.progress)
        if (sign := seen.sign) is not None and sign.at >= work.started and sign.what != self._line:
            self._line = sign.what
            self.log.info("%s", sign.what)
        stall = read_stall(s3, work, seen, self.bounds.tell)
        times, before = stall.times(self.bounds), self._told
        self._told = times
        if times > before:
            logs = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["LogUri"]
            self.log.warning("%s", self._warning(work, stall, cluster_id, logs))
        return stall

    def _warning(self, work: StepWork, stall: Stall, cluster_id: str, log_uri: str) -> str:
        step_logs = step_log_address(log_uri, cluster_id, work.step_id, "stderr").uri.rpartition("/")[0]
        executors = f"{step_logs.rpartition('/steps/')[0]}/containers/"
        end = self.bounds.end
        outlook = f"it is given up after {describe_seconds(end.total_seconds())}" if end else "it is never given up"
        return (
            f"step {work.name} ({work.step_id}) of cluster {cluster_id} {stall.describe()}; {outlook}. "
            f"Look at its logs, {step_logs}/, and those of the executors, {executors}"
        )

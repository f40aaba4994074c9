"""What the deferred sensors wait with, in Airflow's triggerer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.amazon.aws.hooks.emr import EmrHook
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.providers.amazon.aws.triggers.emr import EmrStepSensorTrigger
from airflow.triggers.base import TriggerEvent
from botocore.exceptions import BotoCoreError, ClientError

from verger.cluster.progress import describe_progress
from verger.storage.aws_clients import emr_client, s3_client
from verger.storage.json_objects import read_json
from verger.storage.layout import parse_uri


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
    """Waits for a step, and writes the progress that the step leaves on S3 to the task's log."""

    def __init__(self, progress_uri: str = "", **step: Any) -> None:  # noqa: ANN401 -- the provider's own keywords
        super().__init__(**step)
        self.serialized_fields["progress_uri"] = progress_uri
        self.progress_uri = progress_uri

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event when the step has ended."""
        progress = asyncio.create_task(self._log_progress()) if self.progress_uri else None
        try:
            async for event in super().run():
                yield event
        finally:
            if progress is not None:
                progress.cancel()

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

    async def _log_progress(self) -> None:
        s3 = await asyncio.to_thread(s3_client, self.aws_conn_id, str(self.region_name))
        before = None
        while True:
            await asyncio.sleep(self.waiter_delay)
            try:
                now = await asyncio.to_thread(read_json, s3, parse_uri(self.progress_uri))
            except (BotoCoreError, ClientError, ValueError) as error:
                # Progress is a comfort: that it cannot be read must not end the wait for the step.
                self.log.warning("no progress: %s", error)
                continue
            if now and now != before:
                self.log.info("%s", describe_progress(now))
                before = now

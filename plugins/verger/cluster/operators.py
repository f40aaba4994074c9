"""The provider's EMR operators and sensors, with what a run needs that they lack."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.emr import EmrAddStepsOperator, EmrCreateJobFlowOperator
from airflow.providers.amazon.aws.sensors.emr import EmrJobFlowSensor, EmrStepSensor
from airflow.sdk.exceptions import AirflowFailException

from verger.cluster.clusters import find_named
from verger.cluster.step_logs import CONTROLLER, LOG_NAMES, cause_of, step_log_address, tail, wait_for_logs
from verger.cluster.triggers import ClusterReadyTrigger, StepProgressTrigger
from verger.storage.aws_clients import emr_client, s3_client
from verger.storage.layout import S3Address

if TYPE_CHECKING:
    from airflow.sdk import Context

#: EMR's own log copy comes every five minutes; a cluster that ends copies at once.
_LOG_PATIENCE_SECONDS = 300


class CreateClusterOperator(EmrCreateJobFlowOperator):
    """Creates the run's cluster, or takes the one that an interrupted try of this very task created.

    RunJobFlow has no client token: a task that Airflow ran again after a crash would make a second cluster.
    """

    def execute(self, context: "Context") -> str | None:
        """Return the cluster's id."""
        name = self.job_flow_overrides["Name"]  # type: ignore[index] # rendered: a dict by now
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        if found := find_named(emr, name):
            self.log.warning("cluster %s already has the name %s: taking it", found, name)
            self._job_flow_id = found
            return found
        created: str | None = super().execute(context)
        return created


class AddStepOperator(EmrAddStepsOperator):
    """Adds one step, or takes the one of that name that is still waiting or running."""

    def execute(self, context: "Context") -> list[str]:
        """Return a list with the step's id."""
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        pending = emr.list_steps(ClusterId=str(self.job_flow_id), StepStates=["PENDING", "RUNNING"])["Steps"]
        names = {step["Name"] for step in self.steps}  # type: ignore[index] # rendered: dicts by now
        for step in pending:
            if step["Name"] in names:
                self.log.warning("step %s (%s) is already there: taking it", step["Id"], step["Name"])
                return [str(step["Id"])]
        added: list[str] = super().execute(context)
        return added


class ClusterReadySensor(EmrJobFlowSensor):
    """Waits, deferred, until a cluster takes steps; fails with EMR's reason when it ends instead."""

    def __init__(self, **sensor: Any) -> None:  # noqa: ANN401 -- the provider's own keywords
        super().__init__(
            target_states=["WAITING"],
            failed_states=["TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"],
            deferrable=True,
            **sensor,
        )

    def execute(self, context: "Context") -> None:
        """Look once, then wait in the triggerer."""
        if self.poke(context):
            return
        self.defer(
            timeout=timedelta(seconds=self.max_attempts * self.poke_interval),
            trigger=ClusterReadyTrigger(
                job_flow_id=self.job_flow_id,
                waiter_delay=int(self.poke_interval),
                waiter_max_attempts=self.max_attempts,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: "Context", event: dict[str, Any] | None = None) -> None:
        """Go on, or fail with the reason that EMR gives for the cluster's end."""
        if event is not None and event.get("status") == "success":
            self.log.info("cluster %s is ready", self.job_flow_id)
            return
        reason = self.failure_message_from_response(self.get_emr_response(context))
        raise AirflowFailException(f"cluster {self.job_flow_id} did not become ready {reason or event}")


class StepSensor(EmrStepSensor):
    """Waits, deferred, for a step; its progress and, when it fails, its own log stand in the task's log.

    Args:
        progress_uri: the JSON object in which the step tells how far it is; empty for none.
        sensor: EmrStepSensor's own keywords.
    """

    template_fields: Sequence[str] = (*EmrStepSensor.template_fields, "progress_uri")

    def __init__(self, *, progress_uri: str = "", **sensor: Any) -> None:  # noqa: ANN401
        super().__init__(deferrable=True, **sensor)
        self.progress_uri = progress_uri

    def execute(self, context: "Context") -> None:
        """Look once, then wait in the triggerer."""
        response = self.get_emr_response(context)
        state = self.state_from_response(response)
        if state in self.failed_states:
            self._fail(context)
        if state in self.target_states:
            return
        self.defer(
            timeout=timedelta(seconds=self.max_attempts * self.poke_interval),
            trigger=StepProgressTrigger(
                progress_uri=self.progress_uri,
                job_flow_id=self.job_flow_id,
                step_id=self.step_id,
                waiter_delay=int(self.poke_interval),
                waiter_max_attempts=self.max_attempts,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: "Context", event: dict[str, Any] | None = None) -> None:
        """Go on, or fail with the cause that the step's own log gives."""
        if event is None or event.get("status") != "success":
            self._fail(context)
        self.log.info("step %s completed", self.step_id)

    def _fail(self, context: "Context") -> None:
        step = self.get_emr_response(context)["Step"]
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        cluster = emr.describe_cluster(ClusterId=self.job_flow_id)["Cluster"]
        *addresses, controller = [
            step_log_address(cluster["LogUri"], self.job_flow_id, self.step_id, name)
            for name in (*LOG_NAMES, CONTROLLER)
        ]
        texts = self._read_logs(step["Status"]["Timeline"], addresses, controller)
        for address, text in zip(addresses, texts, strict=True):
            if text.strip():
                self.log.error("the end of %s:\n%s", address.uri, tail(text))
        details = step["Status"].get("FailureDetails", {})
        cause = cause_of("\n".join(texts)) or details.get("Message") or details.get("Reason") or "it gave no reason"
        folder = addresses[0].uri.rpartition("/")[0]
        raise AirflowFailException(
            f"step {step['Name']} ended as {step['Status']['State']}: {cause} (its logs: {folder}/)"
        )

    def _read_logs(self, timeline: Mapping[str, Any], addresses: list[S3Address], controller: S3Address) -> list[str]:
        if "StartDateTime" not in timeline:  # it never ran: there will be no log
            return [""] * len(addresses)
        return wait_for_logs(
            s3_client(self.aws_conn_id, str(self.region_name)),
            addresses,
            controller,
            ended_at=timeline.get("EndDateTime") or datetime.now(UTC),
            patience_seconds=_LOG_PATIENCE_SECONDS,
            poll_seconds=min(10, self.poke_interval),
        )

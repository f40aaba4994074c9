"""Waits until a cluster takes steps, and says why when it ends instead."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.amazon.aws.sensors.emr import EmrJobFlowSensor
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import BotoCoreError, ClientError

from verger.cluster.bootstrap_logs import (
    BootstrapLog,
    find_bootstrap_log,
    last_complaint,
    may_have_a_log,
    wait_for_bootstrap_log,
)
from verger.cluster.clusters import USABLE
from verger.cluster.operators import check_is_over, known_to_emr
from verger.cluster.step_logs import tail
from verger.cluster.triggers import ClusterReadyTrigger
from verger.run.deployment import LOG_SECONDS
from verger.storage.aws_clients import s3_client

if TYPE_CHECKING:
    from airflow.sdk import Context

_READY = "cluster %s is ready"


class ClusterReadySensor(EmrJobFlowSensor):
    """Waits, deferred, until a cluster takes steps; fails with EMR's reason when it ends instead.

    Args:
        log_seconds: how long to wait for what a failed bootstrap action wrote.
        sensor: EmrJobFlowSensor's own keywords.
    """

    def __init__(self, *, log_seconds: int = LOG_SECONDS, **sensor: Any) -> None:  # noqa: ANN401
        self.log_seconds = log_seconds
        super().__init__(
            target_states=["WAITING"],
            failed_states=["TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS"],
            deferrable=True,
            **sensor,
        )

    @known_to_emr()
    def execute(self, context: "Context") -> None:
        """Look once, then wait in the triggerer."""
        response = self.get_emr_response(context)
        state = self.state_from_response(response)
        if state in self.failed_states:
            self._fail(response)
        if state in self.target_states:
            self.log.info(_READY, self.job_flow_id)
            return
        self.defer(
            # A little more than the trigger's own, which knows better how to say it.
            timeout=timedelta(seconds=self.max_attempts * self.poke_interval + 300),
            trigger=ClusterReadyTrigger(
                job_flow_id=self.job_flow_id,
                waiter_delay=int(self.poke_interval),
                waiter_max_attempts=self.max_attempts,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
            ),
            method_name="execute_complete",
        )

    @known_to_emr()
    def execute_complete(self, context: "Context", event: dict[str, Any] | None = None) -> None:
        """Go on, or fail with the reason that EMR gives for the cluster's end.

        The provider's waiter takes TERMINATED for success as well (`job_flow_waiting` of its waiters/emr.json), and a
        cluster may end between the wait and this look: ready is what EMR now says is.
        """
        response = self.get_emr_response(context)
        state = self.state_from_response(response)
        if event is not None and event.get("status") == "success" and state in USABLE:
            self.log.info(_READY, self.job_flow_id)
            return
        check_is_over(state, self.failed_states, event)
        self._fail(response, event)

    def _fail(self, response: dict[str, Any], event: Mapping[str, Any] | None = None) -> NoReturn:
        reason = self.failure_message_from_response(response)
        problem = f"cluster {self.job_flow_id} did not become ready {reason or event}"
        found = self._bootstrap_log(response["Cluster"], problem)
        if found is None:
            raise AirflowFailException(problem)
        self.log.error("the end of %s:\n%s", found.address.uri, tail(found.text))
        raise AirflowFailException(f"{problem}: {last_complaint(found.text)} (its log: {found.address.uri})")

    def _bootstrap_log(self, cluster: Mapping[str, Any], problem: str) -> BootstrapLog | None:
        cause = cluster["Status"].get("StateChangeReason", {})
        if not may_have_a_log(cause) or "LogUri" not in cluster:
            return None
        s3 = s3_client(self.aws_conn_id, str(self.region_name))
        self.log.error("%s; waiting up to %s s for what it wrote, which EMR copies to S3", problem, self.log_seconds)
        look = partial(find_bootstrap_log, s3, cluster["LogUri"], str(self.job_flow_id), cause.get("Message", ""))
        try:
            return wait_for_bootstrap_log(
                look, patience_seconds=self.log_seconds, poll_seconds=min(10, self.poke_interval)
            )
        except (BotoCoreError, ClientError) as error:
            self.log.warning("what the bootstrap action wrote cannot be read: %s", error)
            return None

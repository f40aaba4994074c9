"""The provider's EMR operators and sensors, with what a run needs that they lack."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.amazon.aws.operators.emr import EmrAddStepsOperator, EmrCreateJobFlowOperator
from airflow.providers.amazon.aws.sensors.emr import EmrStepSensor
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from botocore.exceptions import ClientError
from verger_rules.addresses import S3Address

from verger.cluster.clusters import USABLE, find_named, find_steps
from verger.cluster.single_calls import make_once
from verger.cluster.step_logs import CONTROLLER, LOG_NAMES, cause_in, read_log, step_log_address, tail, wait_for_logs
from verger.cluster.tag_lag import shown_later, wait_until_shown
from verger.cluster.triggers import STALLED, StepProgressTrigger
from verger.run.deployment import LOG_SECONDS
from verger.storage.aws_clients import ONE_ATTEMPT, emr_client, emr_client_of_one_attempt, s3_client

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_emr import EMRClient

_COMPLETED = "step %s completed"
_STEP_ENDS = ("COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED")
#: Airflow's word for a wait that took as long as it may.
_OUT_OF_TIME = "max attempts"
#: EMR's codes for an id that it does not know, among others; throttling and its own errors have codes of their own.
_WRONG_REQUESTS = frozenset({"InvalidRequestException", "ValidationException"})


def check_is_over(state: str, ends: Iterable[str], event: Mapping[str, Any] | None) -> None:
    """Raise AirflowException, after which a task is tried again, when a wait was cut off and what it waits for goes on.

    An API that fails for longer than its client tries again ends the wait, and says nothing about cluster and step.
    """
    message = str((event or {}).get("message", ""))
    if state not in ends and _OUT_OF_TIME not in message:
        raise AirflowException(f"the wait was cut off while EMR's state was {state}: {message}")


def emr_s_reason(step: Mapping[str, Any], cluster: Mapping[str, Any]) -> str:
    """What EMR says about the end of a step, from the `Status` of both: it may have ended with its cluster."""
    details = step.get("FailureDetails", {})
    reasons = [step.get("StateChangeReason", {}).get("Message"), cluster.get("StateChangeReason", {}).get("Message")]
    words = [details.get("Message") or details.get("Reason"), *reasons]
    said = list(dict.fromkeys(word for word in words if word))
    return "; ".join(said) or "it gave no reason"


@contextmanager
def known_to_emr() -> Iterator[None]:
    """Fail for good when EMR does not know a cluster or a step: another try would ask the same in vain."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _WRONG_REQUESTS:
            raise AirflowFailException(f"EMR refuses for good: {error}") from error
        raise


class CreateClusterOperator(EmrCreateJobFlowOperator):
    """Creates the run's cluster, or takes the one that an interrupted try of this very task created.

    RunJobFlow has no client token: a task that Airflow ran again after a crash, or a call that was repeated because its
    answer was lost, would make a second cluster.
    """

    def __init__(self, **operator: Any) -> None:  # noqa: ANN401 -- the provider's own keywords
        super().__init__(botocore_config=dict(ONE_ATTEMPT), **operator)

    def execute(self, context: "Context") -> str | None:
        """Return the cluster's id."""
        name = self.job_flow_overrides["Name"]  # type: ignore[index] # rendered: a dict by now
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        cluster_id = make_once(partial(find_named, emr, name), lambda: self._create(context))
        self._job_flow_id = cluster_id
        # From here on nobody meets a cluster that may not be looked at: neither the tasks that wait nor their triggers.
        wait_until_shown(emr, cluster_id)
        return cluster_id

    def _create(self, context: "Context") -> str:
        self._job_flow_id = None
        with shown_later(lambda: self._job_flow_id):
            super().execute(context)
        return str(self._job_flow_id)


#: How a person goes on after a step or a cluster has failed.
_TRY_AGAIN = (
    "to try again, clear this task together with its downstream tasks (the dialog's default): "
    "that creates a new cluster, which goes on where this one stopped"
)


class AddStepOperator(EmrAddStepsOperator):
    """Adds one step, or takes the one of that name that the cluster has already: a run adds each of its steps once."""

    def __init__(self, **operator: Any) -> None:  # noqa: ANN401 -- the provider's own keywords
        super().__init__(botocore_config=dict(ONE_ATTEMPT), **operator)

    def execute(self, context: "Context") -> list[str]:
        """Return a list with the step's id."""
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        check_usable(emr, str(self.job_flow_id))
        add = super().execute
        return make_once(
            partial(find_steps, emr, str(self.job_flow_id), step_names(self.steps)), lambda: list(add(context))
        )


def check_usable(emr: "EMRClient", cluster_id: str) -> None:
    """Raise AirflowFailException when a cluster takes no more steps."""
    state = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"]
    if state not in USABLE:
        raise AirflowFailException(f"cluster {cluster_id} is {state} and takes no step: {_TRY_AGAIN}")


def step_names(steps: Any) -> set[str]:  # noqa: ANN401 -- a template until it is rendered
    """The names of steps as AddJobFlowSteps takes them."""
    return {step["Name"] for step in steps}


class StepSensor(EmrStepSensor):
    """Waits, deferred, for a step; its progress and, when it fails, its own log stand in the task's log.

    A step that stands still is told in the log, and given up in the end: the run's teardown then ends its cluster.

    A person who clears this task gets a new cluster with it, since Airflow runs the setups again, but not the task that
    added the step to the old one: the sensor then adds the step itself.

    Args:
        steps: the step, as AddStepOperator added it.
        tell_minutes: after how many minutes without progress the log says so; rendered.
        end_minutes: after how many the step is given up; 0 for never; rendered.
        log_seconds: how long to wait for the log of a step that failed.
        sensor: EmrStepSensor's own keywords.
    """

    template_fields: Sequence[str] = (*EmrStepSensor.template_fields, "steps", "tell_minutes", "end_minutes")

    def __init__(
        self,
        *,
        steps: Any,  # noqa: ANN401 -- a template until it is rendered
        tell_minutes: float | str,
        end_minutes: float | str,
        log_seconds: int = LOG_SECONDS,
        **sensor: Any,  # noqa: ANN401 -- the provider's own keywords
    ) -> None:
        super().__init__(deferrable=True, **sensor)
        self.steps = steps
        self.tell_minutes = tell_minutes
        self.end_minutes = end_minutes
        self.log_seconds = log_seconds

    @known_to_emr()
    def execute(self, context: "Context") -> None:
        """Look once, then wait in the triggerer."""
        self.step_id = self._step_of_this_cluster()
        response = self.get_emr_response(context)
        state = self.state_from_response(response)
        if state in self.failed_states:
            self._fail(context)
        if state in self.target_states:
            self.log.info(_COMPLETED, self.step_id)
            return
        self.defer(
            # A little more than the trigger's own, which knows better how to say it.
            timeout=timedelta(seconds=self.max_attempts * self.poke_interval + 300),
            trigger=StepProgressTrigger(
                tell_seconds=float(self.tell_minutes) * 60,
                end_seconds=float(self.end_minutes) * 60,
                job_flow_id=self.job_flow_id,
                step_id=self.step_id,
                waiter_delay=int(self.poke_interval),
                waiter_max_attempts=self.max_attempts,
                aws_conn_id=self.aws_conn_id,
                region_name=self.region_name,
            ),
            method_name="execute_complete",
            kwargs={"step_id": self.step_id},
        )

    def _step_of_this_cluster(self) -> str:
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        pages = emr.get_paginator("list_steps").paginate(ClusterId=self.job_flow_id)
        if self.step_id in {step["Id"] for page in pages for step in page["Steps"]}:
            return str(self.step_id)
        self.log.warning("step %s was another cluster's: cluster %s gets its own", self.step_id, self.job_flow_id)
        check_usable(emr, self.job_flow_id)
        once = emr_client_of_one_attempt(self.aws_conn_id, str(self.region_name))
        return make_once(
            partial(find_steps, emr, self.job_flow_id, step_names(self.steps)),
            lambda: list(once.add_job_flow_steps(JobFlowId=self.job_flow_id, Steps=self.steps)["StepIds"]),
        )[0]

    @known_to_emr()
    def execute_complete(
        self, context: "Context", event: dict[str, Any] | None = None, step_id: str | None = None
    ) -> None:
        """Go on, or fail with the cause that the step's own log gives."""
        # Airflow renders the task anew when it goes on, and knows only the step that was added to the first cluster.
        self.step_id = step_id or self.step_id
        if event is None or event.get("status") != "success":
            state = self.state_from_response(self.get_emr_response(context))
            if event is not None and event.get("status") == STALLED and state not in _STEP_ENDS:
                self._give_up(context, str(event["message"]))
            if state not in self.target_states:
                check_is_over(state, _STEP_ENDS, event)
                self._fail(context)
        self.log.info(_COMPLETED, self.step_id)

    def _give_up(self, context: "Context", how_long: str) -> NoReturn:
        """Fail though the step goes on: the run's teardown ends it with its cluster."""
        step = self.get_emr_response(context)["Step"]
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        cluster = emr.describe_cluster(ClusterId=self.job_flow_id)["Cluster"]
        s3 = s3_client(self.aws_conn_id, str(self.region_name))
        addresses = [step_log_address(cluster["LogUri"], self.job_flow_id, self.step_id, name) for name in LOG_NAMES]
        logs = [read_log(s3, address) for address in addresses]
        self._show_logs(addresses, [log.text if log else "" for log in logs])
        folder = addresses[0].uri.rpartition("/")[0]
        self.log.error("%s", _TRY_AGAIN)
        raise AirflowFailException(
            f"step {step['Name']} of cluster {self.job_flow_id} {how_long}; it is given up and its cluster ended after "
            f"end_stalled_minutes, {self.end_minutes} (its logs: {folder}/)"
        )

    def _show_logs(self, addresses: Iterable[S3Address], texts: Iterable[str]) -> None:
        for address, text in zip(addresses, texts, strict=True):
            if text.strip():
                self.log.error("the end of %s:\n%s", address.uri, tail(text))

    def _fail(self, context: "Context") -> None:
        step = self.get_emr_response(context)["Step"]
        emr = emr_client(self.aws_conn_id, str(self.region_name))
        cluster = emr.describe_cluster(ClusterId=self.job_flow_id)["Cluster"]
        *addresses, controller = [
            step_log_address(cluster["LogUri"], self.job_flow_id, self.step_id, name)
            for name in (*LOG_NAMES, CONTROLLER)
        ]
        # At once: the log may take minutes to come.
        said = emr_s_reason(step["Status"], cluster["Status"])
        self.log.error("step %s (%s) ended as %s: %s", step["Name"], self.step_id, step["Status"]["State"], said)
        texts = self._read_logs(step["Status"]["Timeline"], addresses, controller)
        self._show_logs(addresses, texts)
        cause = cause_in(texts) or said
        folder = addresses[0].uri.rpartition("/")[0]
        self.log.error("%s", _TRY_AGAIN)
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
            patience_seconds=self.log_seconds,
            poll_seconds=min(10, self.poke_interval),
        )

"""How a cluster and its steps change state: pure functions from one record to the next.

They are total: a change that comes too late (a step that ends after its cluster has) leaves the record as it is,
so the threads that report events need not know what others did meanwhile. Codes and messages are EMR's; where AWS
documents no wording, the message says what happened.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from local_emr.model import CancelOption, Cluster, ClusterState, Failure, Instance, Reason, Step, StepState

RUNNING_STEP = Reason(None, "Running step")
READY = Reason(None, "Cluster ready to run steps.")
USER_REQUEST = Reason("USER_REQUEST", "Terminated by user request")
IDLE = Reason("USER_REQUEST", "Terminated by the auto-termination policy: the cluster was idle")
STEPS_COMPLETED = Reason("ALL_STEPS_COMPLETED", "Steps completed")
STEPS_COMPLETED_WITH_ERRORS = Reason("STEP_FAILURE", "Steps completed with errors")
STEP_FAILED = Reason("STEP_FAILURE", "Shut down as step failed")
INTERNAL_ERROR = Reason("INTERNAL_ERROR", "An internal error occurred.")

_CLEAN_ENDS = (USER_REQUEST, IDLE, STEPS_COMPLETED, STEPS_COMPLETED_WITH_ERRORS)


def bootstrapping(cluster: Cluster) -> Cluster:
    """The machines are there; the bootstrap actions run."""
    if cluster.state is not ClusterState.STARTING:
        return cluster
    reason = Reason(None, "Running bootstrap actions")
    return replace(cluster, state=ClusterState.BOOTSTRAPPING, reason=reason)


def ready(cluster: Cluster, now: datetime) -> Cluster:
    """The bootstrap actions are done: steps may run."""
    if cluster.state is not ClusterState.BOOTSTRAPPING:
        return cluster
    return settled(replace(cluster, state=ClusterState.RUNNING, reason=RUNNING_STEP, ready=now), now)


def settled(cluster: Cluster, now: datetime) -> Cluster:
    """RUNNING while there is a step to run; else WAITING, or TERMINATING when it was not to be kept."""
    if cluster.state not in (ClusterState.RUNNING, ClusterState.WAITING):
        return cluster
    if any(not step.state.is_over for step in cluster.steps):
        return replace(cluster, state=ClusterState.RUNNING, reason=RUNNING_STEP, waiting_since=None)
    if not cluster.keep_alive:
        failed = any(step.state is StepState.FAILED for step in cluster.steps)
        return terminating(cluster, STEPS_COMPLETED_WITH_ERRORS if failed else STEPS_COMPLETED, now)
    if cluster.state is ClusterState.WAITING:
        return cluster
    return replace(cluster, state=ClusterState.WAITING, reason=_ready_after(cluster), waiting_since=now)


def _ready_after(cluster: Cluster) -> Reason:
    if not cluster.steps:
        return READY
    last = max(cluster.steps, key=lambda step: step.ended or step.created)
    outcome = {StepState.COMPLETED: "completed", StepState.FAILED: "failed"}.get(last.state, "cancelled")
    return Reason(None, f"Cluster ready after last step {outcome}.")


def with_steps(cluster: Cluster, steps: tuple[Step, ...], now: datetime) -> Cluster:
    """More steps at the end of the queue."""
    return settled(replace(cluster, steps=cluster.steps + steps), now)


def next_step_started(cluster: Cluster, now: datetime) -> tuple[Cluster, Step | None]:
    """Start the oldest pending step if the step concurrency allows; the step, or none."""
    active = sum(step.state.is_active for step in cluster.steps)
    pending = next((step for step in cluster.steps if step.state is StepState.PENDING), None)
    if cluster.state is not ClusterState.RUNNING or pending is None or active >= cluster.step_concurrency:
        return cluster, None
    started = replace(pending, state=StepState.RUNNING, started=now)
    return _with_step(cluster, started), started


def step_succeeded(cluster: Cluster, step_id: str, now: datetime) -> Cluster:
    """The step's process ended with exit code 0."""
    return _step_ended(cluster, step_id, StepState.COMPLETED, None, now)


def step_failed(cluster: Cluster, step_id: str, failure: Failure, now: datetime) -> Cluster:
    """The step's process failed: what its ActionOnFailure says happens.

    With more than one step at a time the actions that touch other steps do nothing, and a protected cluster that is
    to be kept does not end (AWS: `StepConfig`, "Using termination protection").
    """
    after = _step_ended(cluster, step_id, StepState.FAILED, failure, now)
    step = after.step(step_id)
    if step.state is not StepState.FAILED or step.action_on_failure == "CONTINUE" or after.step_concurrency > 1:
        return after
    after = _pending_cancelled(after, now)
    stays = step.action_on_failure == "CANCEL_AND_WAIT" or (after.protected and after.keep_alive)
    return settled(after, now) if stays else terminating(after, STEP_FAILED, now)


def _step_ended(cluster: Cluster, step_id: str, state: StepState, failure: Failure | None, now: datetime) -> Cluster:
    step = cluster.step(step_id)
    if not step.state.is_active:
        return cluster
    if cluster.state.is_ending:
        ended = replace(step, state=StepState.CANCELLED, message="Job terminated", ended=now)
    elif step.cancel_option is not None:
        ended = replace(step, state=StepState.CANCELLED, message="Cancelled by user request", ended=now)
    else:
        ended = replace(step, state=state, failure=failure, ended=now)
    after = _with_step(cluster, ended)
    # A failed step's own action decides first whether the cluster goes on.
    decides = ended.state is StepState.FAILED and ended.action_on_failure != "CONTINUE"
    return after if decides and after.step_concurrency == 1 else settled(after, now)


def step_cancel_requested(
    cluster: Cluster, step_id: str, option: CancelOption, now: datetime
) -> tuple[Cluster, str | None]:
    """Cancel a pending step at once, ask a running one to end; the second value says why it cannot be done."""
    step = cluster.step(step_id)
    if step.state is StepState.PENDING:
        message = "Cancelled by user request"
        cancelled = replace(step, state=StepState.CANCELLED, cancel_option=option, message=message, ended=now)
        return settled(_with_step(cluster, cancelled), now), None
    if step.state.is_active:
        asked = replace(step, state=StepState.CANCEL_PENDING, cancel_option=option)
        return _with_step(cluster, asked), None
    return cluster, f"Step is already in state {step.state}"


def terminating(cluster: Cluster, reason: Reason, now: datetime) -> Cluster:
    """The cluster begins to end: what has not run will not run."""
    if cluster.state.is_ending:
        return cluster
    ending = replace(cluster, state=ClusterState.TERMINATING, reason=reason, waiting_since=None)
    return _pending_cancelled(ending, now)


def node_lost(cluster: Cluster, now: datetime) -> Cluster:
    """The primary node's processes are gone without anybody having asked for it."""
    if cluster.state.is_ending:
        return cluster
    message = f"The master instance ({cluster.primary.ec2_instance_id}) was terminated unexpectedly"
    steps = tuple(
        replace(step, state=StepState.INTERRUPTED, message=message, ended=now) if step.state.is_active else step
        for step in cluster.steps
    )
    return terminating(replace(cluster, steps=steps), Reason("INSTANCE_FAILURE", message), now)


def bootstrap_failed(cluster: Cluster, number: int, what: str, now: datetime) -> Cluster:
    """A bootstrap action (counted from 1) did what it should not; `what` ends EMR's sentence."""
    return _bootstrap_failed_on(cluster, f"the master instance ({cluster.primary.ec2_instance_id})", number, what, now)


def worker_bootstrap_failed(cluster: Cluster, instance: Instance, number: int, what: str, now: datetime) -> Cluster:
    """The same on a core or task node, before the cluster was ready."""
    return _bootstrap_failed_on(cluster, f"1 slave instance ({instance.ec2_instance_id})", number, what, now)


def _bootstrap_failed_on(cluster: Cluster, where: str, number: int, what: str, now: datetime) -> Cluster:
    reason = Reason("BOOTSTRAP_FAILURE", f"On {where}, bootstrap action {number} {what}")
    return terminating(cluster, reason, now)


def core_nodes_lost(cluster: Cluster, now: datetime) -> Cluster:
    """The last core node is gone: EMR ends the cluster, whose HDFS went with it."""
    return terminating(cluster, Reason("INSTANCE_FAILURE", "All slaves in the job flow were terminated"), now)


def terminated(cluster: Cluster, now: datetime) -> Cluster:
    """Every process has ended and every log is stored."""
    if cluster.state.is_over:
        return cluster
    state = ClusterState.TERMINATED if cluster.reason in _CLEAN_ENDS else ClusterState.TERMINATED_WITH_ERRORS
    steps = tuple(
        replace(step, state=StepState.CANCELLED, message="Job terminated", ended=now)
        if not step.state.is_over
        else step
        for step in cluster.steps
    )
    instances = tuple(replace(instance, ended=instance.ended or now) for instance in cluster.instances)
    return replace(cluster, state=state, steps=steps, instances=instances, ended=now)


def idle_deadline(cluster: Cluster, time_scale: float) -> datetime | None:
    """When an idle cluster is to end (its timeout times `time_scale`); none if it is busy, protected or free."""
    if cluster.waiting_since is None or cluster.idle_timeout is None or cluster.protected:
        return None
    return cluster.waiting_since + timedelta(seconds=cluster.idle_timeout * time_scale)


def _pending_cancelled(cluster: Cluster, now: datetime) -> Cluster:
    steps = tuple(
        replace(step, state=StepState.CANCELLED, message="Job terminated", ended=now)
        if step.state is StepState.PENDING
        else step
        for step in cluster.steps
    )
    return replace(cluster, steps=steps)


def _with_step(cluster: Cluster, changed: Step) -> Cluster:
    steps = tuple(changed if step.step_id == changed.step_id else step for step in cluster.steps)
    return replace(cluster, steps=steps)

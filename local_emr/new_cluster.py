"""RunJobFlow and AddJobFlowSteps: from requests to records, refused where EMR refuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_emr.errors import validation_error
from local_emr.model import BootstrapAction, Cluster, Step
from local_emr.node_groups import new_id, new_instances, requested_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

MAX_BOOTSTRAP_ACTIONS = 16  # EMR: "Create bootstrap actions to install additional software"
MAX_STEPS = 256  # EMR: AddJobFlowSteps, active steps of a cluster
MAX_STEP_CHARACTERS = 10_240  # EMR: AddJobFlowSteps, the strings of one HadoopJarStep
IDLE_TIMEOUT = range(60, 604_800 + 1)  # EMR: AutoTerminationPolicy, seconds
STEP_CONCURRENCY = range(1, 256 + 1)  # EMR: RunJobFlow
_NOT_IN_NAMES = "<>$|`"
_TOUCH_OTHER_STEPS = ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW", "CANCEL_AND_WAIT")


def new_cluster(request: Mapping[str, Any], region: str, account_id: str, now: datetime) -> Cluster:
    """The cluster that a RunJobFlow request asks for.

    Raises:
        ApiError: EMR would refuse it.
    """
    _check(request)
    groups = requested_groups(request["Instances"], now)
    policy = request.get("AutoTerminationPolicy")
    concurrency = step_concurrency(request.get("StepConcurrencyLevel"))
    return Cluster(
        cluster_id=new_id("j"),
        name=request["Name"],
        region=region,
        account_id=account_id,
        request=request,
        created=now,
        groups=groups,
        instances=tuple(instance for group in groups for instance in new_instances(group, now)),
        bootstrap_actions=_bootstrap_actions(request.get("BootstrapActions") or []),
        steps=new_steps(request.get("Steps") or [], concurrency, now),
        tags={tag["Key"]: tag.get("Value") or "" for tag in request.get("Tags") or []},
        keep_alive=bool(request["Instances"].get("KeepJobFlowAliveWhenNoSteps")),
        protected=bool(request["Instances"].get("TerminationProtected")),
        visible=request.get("VisibleToAllUsers") is not False,
        step_concurrency=concurrency,
        idle_timeout=idle_timeout(policy) if policy is not None else None,
        managed_scaling=request.get("ManagedScalingPolicy"),
    )


def _check(request: Mapping[str, Any]) -> None:
    name = request["Name"]
    if not name or any(character in _NOT_IN_NAMES for character in name):
        raise validation_error(f"The cluster name {name!r} is empty or holds one of {_NOT_IN_NAMES}")
    if not request.get("ReleaseLabel"):
        raise validation_error("A release label is required, like emr-spark-8.1.0.")
    if not request.get("ServiceRole"):
        raise validation_error("ServiceRole is required for creating cluster.")
    if not request.get("JobFlowRole"):
        raise validation_error("InstanceProfile is required for creating cluster.")
    log_uri = request.get("LogUri")
    if log_uri and not log_uri.startswith(("s3://", "s3n://", "s3a://")):
        raise validation_error(f"The log URI {log_uri!r} is not an address in S3.")


def _bootstrap_actions(requests: Sequence[Mapping[str, Any]]) -> tuple[BootstrapAction, ...]:
    if len(requests) > MAX_BOOTSTRAP_ACTIONS:
        raise validation_error(f"{len(requests)} bootstrap actions; at most {MAX_BOOTSTRAP_ACTIONS} are allowed.")
    return tuple(
        BootstrapAction(
            name=request["Name"],
            path=request["ScriptBootstrapAction"]["Path"],
            args=tuple(request["ScriptBootstrapAction"].get("Args") or ()),
        )
        for request in requests
    )


def new_steps(requests: Sequence[Mapping[str, Any]], concurrency: int, now: datetime) -> tuple[Step, ...]:
    """The steps that these requests ask for, checked against the cluster's step concurrency."""
    return tuple(_step(request, concurrency, now) for request in requests)


def _step(request: Mapping[str, Any], concurrency: int, now: datetime) -> Step:
    action = request.get("ActionOnFailure") or "TERMINATE_CLUSTER"
    if concurrency > 1 and action in _TOUCH_OTHER_STEPS:
        raise validation_error(
            f"ActionOnFailure {action} is not valid with a step concurrency level of {concurrency}: use CONTINUE."
        )
    jar = request["HadoopJarStep"]
    args = tuple(jar.get("Args") or ())
    if sum(map(len, (*args, jar["Jar"]))) > MAX_STEP_CHARACTERS:
        raise validation_error(f"The step {request['Name']!r} is longer than {MAX_STEP_CHARACTERS} characters.")
    return Step(
        step_id=new_id("s"),
        name=request["Name"],
        action_on_failure=action,
        jar=jar["Jar"],
        args=args,
        created=now,
        main_class=jar.get("MainClass"),
        properties={pair["Key"]: pair.get("Value") or "" for pair in jar.get("Properties") or []},
    )


def check_open_for_steps(cluster: Cluster, new: int) -> None:
    """Refuse steps to a cluster that is ending, or that has too many waiting."""
    if cluster.state.is_ending:
        raise validation_error("A job flow that is shutting down, terminated, or finished may not be modified.")
    active = sum(not step.state.is_over for step in cluster.steps)
    if active + new > MAX_STEPS:
        raise validation_error(f"Maximum number of steps for job flow exceeded: {active + new} of {MAX_STEPS}.")


def check_open(cluster: Cluster) -> None:
    """Refuse changes to a cluster that is ending."""
    if cluster.state.is_ending:
        raise validation_error("A job flow that is shutting down, terminated, or finished may not be modified.")


def idle_timeout(policy: Mapping[str, Any]) -> int:
    """The seconds of an auto-termination policy."""
    seconds: int = policy.get("IdleTimeout") or 0
    if seconds not in IDLE_TIMEOUT:
        raise validation_error(
            f"The idle timeout must be between {IDLE_TIMEOUT.start} and {IDLE_TIMEOUT.stop - 1} seconds, not {seconds}."
        )
    return seconds


def step_concurrency(level: int | None) -> int:
    """A step concurrency level, 1 if none is given."""
    if level is None:
        return 1
    if level not in STEP_CONCURRENCY:
        raise validation_error(f"StepConcurrencyLevel must be between 1 and 256, not {level}.")
    return level

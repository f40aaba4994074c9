"""What a cluster is: immutable records, replaced as a whole at each change of state."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class ClusterState(StrEnum):
    """EMR's cluster states (API reference, `ClusterStatus`)."""

    STARTING = "STARTING"
    BOOTSTRAPPING = "BOOTSTRAPPING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    TERMINATED_WITH_ERRORS = "TERMINATED_WITH_ERRORS"

    @property
    def is_over(self) -> bool:
        """Nothing of the cluster runs any more."""
        return self in (ClusterState.TERMINATED, ClusterState.TERMINATED_WITH_ERRORS)

    @property
    def is_ending(self) -> bool:
        """The cluster takes no more steps."""
        return self is ClusterState.TERMINATING or self.is_over


class StepState(StrEnum):
    """EMR's step states (API reference, `StepStatus`)."""

    PENDING = "PENDING"
    CANCEL_PENDING = "CANCEL_PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"

    @property
    def is_active(self) -> bool:
        """The step has a process (or is about to have one)."""
        return self in (StepState.RUNNING, StepState.CANCEL_PENDING)

    @property
    def is_over(self) -> bool:
        """The step changes no more."""
        return self is not StepState.PENDING and not self.is_active


class CancelOption(StrEnum):
    """How CancelSteps ends a running step."""

    SEND_INTERRUPT = "SEND_INTERRUPT"
    TERMINATE_PROCESS = "TERMINATE_PROCESS"


@dataclass(frozen=True)
class Reason:
    """Why a cluster is in its state: one of EMR's codes (none while it lives) and a sentence."""

    code: str | None
    message: str


@dataclass(frozen=True)
class Failure:
    """EMR's `FailureDetails` of a step."""

    reason: str
    message: str
    log_file: str | None


@dataclass(frozen=True)
class Step:
    """One step of a cluster."""

    step_id: str
    name: str
    action_on_failure: str
    jar: str
    args: tuple[str, ...]
    created: datetime
    main_class: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    state: StepState = StepState.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    message: str | None = None
    failure: Failure | None = None
    cancel_option: CancelOption | None = None


@dataclass(frozen=True)
class BootstrapAction:
    """A script that every node runs before the cluster is ready."""

    name: str
    path: str
    args: tuple[str, ...]


@dataclass(frozen=True)
class NodeGroup:
    """An instance group or an instance fleet, with what its request said (EMR's own shape)."""

    group_id: str
    role: str  # MASTER | CORE | TASK
    is_fleet: bool
    request: Mapping[str, Any]
    created: datetime


@dataclass(frozen=True)
class Instance:
    """One machine of a node group: the primary node is always real, the others under YARN, else they are records."""

    instance_id: str
    ec2_instance_id: str
    group_id: str
    role: str
    market: str
    instance_type: str
    private_ip: str
    capacity: int
    created: datetime
    ended: datetime | None = None


@dataclass(frozen=True)
class Cluster:
    """One cluster, from RunJobFlow until long after its end."""

    cluster_id: str
    name: str
    region: str
    account_id: str
    request: Mapping[str, Any]
    created: datetime
    groups: tuple[NodeGroup, ...]
    instances: tuple[Instance, ...]
    bootstrap_actions: tuple[BootstrapAction, ...] = ()
    steps: tuple[Step, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    state: ClusterState = ClusterState.STARTING
    reason: Reason = Reason(None, "Provisioning Amazon EC2 capacity")
    ready: datetime | None = None
    ended: datetime | None = None
    keep_alive: bool = False
    protected: bool = False
    visible: bool = True
    step_concurrency: int = 1
    idle_timeout: int | None = None
    waiting_since: datetime | None = None
    managed_scaling: Mapping[str, Any] | None = None

    @property
    def arn(self) -> str:
        """The cluster's Amazon resource name."""
        return f"arn:aws:elasticmapreduce:{self.region}:{self.account_id}:cluster/{self.cluster_id}"

    @property
    def log_uri(self) -> str | None:
        """Where the cluster's logs go, without a slash at the end; none if none were asked for."""
        uri = self.request.get("LogUri")
        return str(uri).rstrip("/") if uri else None

    @property
    def primary(self) -> Instance:
        """The primary node: the one that really runs something."""
        return next(instance for instance in self.instances if instance.role == "MASTER")

    def step(self, step_id: str) -> Step:
        """The step of that id; KeyError if there is none."""
        for step in self.steps:
            if step.step_id == step_id:
                return step
        raise KeyError(step_id)

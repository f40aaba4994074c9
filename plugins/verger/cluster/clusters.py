"""Finds and ends clusters by the name that a run leased: the net that leaves nothing behind."""

import logging
import re
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient
    from mypy_boto3_emr.literals import ClusterStateType, StepStateType

log = logging.getLogger(__name__)

#: Every state of a cluster that can still cost money.
ALIVE: "tuple[ClusterStateType, ...]" = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING")
#: The states in which a cluster still takes steps.
USABLE: "tuple[ClusterStateType, ...]" = ("STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING")


_GOOD_STEPS: "tuple[StepStateType, ...]" = ("PENDING", "RUNNING", "COMPLETED")


class ClusterAliveError(RuntimeError):
    """A cluster did not end in the time given."""


def run_lease(installation: str, slug: str) -> str:
    """What the names of all clusters of a run share.

    A run id alone would not do: two installations with the same schedule give their runs the same ids.
    """
    return f"verger-{installation}-{slug}"


def lease_name(lease: str, attempt: int) -> str:
    """The name of the cluster of one try of a run."""
    return f"{lease}-try{attempt}"


def is_leased_by(name: str, lease: str) -> bool:
    """Whether a cluster's name was leased by a run, whatever the try."""
    return re.fullmatch(rf"{re.escape(lease)}-try\d+", name) is not None


def find_leased(emr: "EMRClient", lease: str) -> list[str]:
    """The ids of a run's clusters that can still cost money, newest first."""
    return [
        cluster["Id"]
        for page in emr.get_paginator("list_clusters").paginate(ClusterStates=list(ALIVE))
        for cluster in page["Clusters"]
        if is_leased_by(cluster["Name"], lease)
    ]


def find_named(emr: "EMRClient", name: str) -> str | None:
    """The id of a cluster of exactly this name that still takes steps; None when there is none."""
    for page in emr.get_paginator("list_clusters").paginate(ClusterStates=list(USABLE)):
        for cluster in page["Clusters"]:
            if cluster["Name"] == name:
                return cluster["Id"]
    return None


def find_steps(emr: "EMRClient", cluster_id: str, names: Collection[str]) -> list[str] | None:
    """The ids of a cluster's steps of these names that did not fail, the newest alone; None when there is none."""
    for page in emr.get_paginator("list_steps").paginate(ClusterId=cluster_id, StepStates=list(_GOOD_STEPS)):
        for step in page["Steps"]:
            if step["Name"] in names:
                return [step["Id"]]
    return None


def terminate_leased(
    emr: "EMRClient",
    lease: str,
    *,
    poll_seconds: float,
    patience_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> list[str]:
    """End every cluster of a run and return their ids once AWS reports them ended.

    Raises ClusterAliveError when one is still alive after `patience_seconds`; calling it again is safe.
    """
    ended: set[str] = set()
    deadline = clock() + patience_seconds
    while alive := find_leased(emr, lease):
        if clock() > deadline:
            raise ClusterAliveError(
                f"{', '.join(alive)} still alive {patience_seconds:.0f} s after being told to end: "
                f"check with `aws emr describe-cluster --cluster-id {alive[0]}`"
            )
        for cluster_id in alive:
            allow_ending(emr, cluster_id)
        emr.terminate_job_flows(JobFlowIds=alive)
        log.info("ending %s", ", ".join(alive))
        ended.update(alive)
        sleep(poll_seconds)
    return sorted(ended)


def allow_ending(emr: "EMRClient", cluster_id: str) -> None:
    """Switch off termination protection, which could have been switched on by hand: a cluster ends all the same.

    EMR refuses to change a cluster that is ending already, with the code it has for a wrong request: that is no error.
    """
    try:
        emr.set_termination_protection(JobFlowIds=[cluster_id], TerminationProtected=False)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        if emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"] in USABLE:
            raise

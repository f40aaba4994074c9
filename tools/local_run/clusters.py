"""The clusters of the local EMR, as the demo asks for them: what became of them, and the end of those that are left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient

ENDED = frozenset({"TERMINATED", "TERMINATED_WITH_ERRORS"})
END_SECONDS = 60.0


@dataclass(frozen=True)
class ClusterState:
    """A cluster's id and EMR's word for its state."""

    id: str
    state: str

    @property
    def ended(self) -> bool:
        """Whether it costs nothing any more."""
        return self.state in ENDED


def list_clusters(emr: EMRClient) -> list[ClusterState]:
    """Every cluster that the EMR has had since it was started, the oldest first."""
    pages = emr.get_paginator("list_clusters").paginate()
    found = [cluster for page in pages for cluster in page["Clusters"]]
    found.sort(key=lambda cluster: cluster["Status"]["Timeline"]["CreationDateTime"])
    return [ClusterState(cluster["Id"], cluster["Status"]["State"]) for cluster in found]


def end_all(emr: EMRClient) -> list[ClusterState]:
    """Ends every cluster that is still there, waits until all have ended, and returns them.

    Raises TimeoutError when one has not ended after a minute.
    """
    left = [cluster.id for cluster in list_clusters(emr) if not cluster.ended]
    if left:
        emr.set_termination_protection(JobFlowIds=left, TerminationProtected=False)
        emr.terminate_job_flows(JobFlowIds=left)
    end = time.monotonic() + END_SECONDS
    clusters = list_clusters(emr)
    while not all(cluster.ended for cluster in clusters):
        if time.monotonic() > end:
            still = ", ".join(cluster.id for cluster in clusters if not cluster.ended)
            raise TimeoutError(f"{still}: not terminated {END_SECONDS:.0f} s after it was asked for")
        time.sleep(0.2)
        clusters = list_clusters(emr)
    return clusters

"""All the clusters of one server and the threads that run them: what the API's operations act on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from local_emr import lifecycle
from local_emr.cluster_runner import ClusterRunner, Surroundings, now
from local_emr.clusters import Clusters
from local_emr.errors import ApiError, invalid_request, validation_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_emr.model import Cluster

MAX_IDS = 10  # clusters in one TerminateJobFlows and the like


class Service:
    """EMR, without its API."""

    def __init__(self, around: Surroundings, account_id: str) -> None:
        """Start nothing yet."""
        self.account_id = account_id
        self.clusters = Clusters()
        self._around = around
        self._lock = threading.Lock()
        self._runners: list[ClusterRunner] = []
        self._closed = False

    def launch(self, cluster: Cluster) -> None:
        """Take a new cluster up and bring it to life."""
        runner = ClusterRunner(cluster.cluster_id, self.clusters, self._around)
        with self._lock:
            if self._closed:
                raise ApiError("InternalServerException", "The local EMR is shutting down.", status=500)
            self.clusters.add(cluster)
            self._runners.append(runner)
            runner.start()

    def close(self) -> None:
        """End every cluster and wait for it; no new one is taken."""
        with self._lock:
            self._closed = True
            runners = list(self._runners)
        for cluster in self.clusters.all():
            self.change(cluster.cluster_id, lambda c: lifecycle.terminating(c, lifecycle.USER_REQUEST, now()))
        for runner in runners:
            runner.join()

    def change(self, cluster_id: str, change: Callable[[Cluster], Cluster]) -> Cluster:
        """Replace a cluster's record (see `Clusters.update`)."""
        return self.clusters.update(cluster_id, change)

    def cluster(self, cluster_id: str, region: str) -> Cluster:
        """The cluster, for operations that read.

        Raises:
            ApiError: InvalidRequestException, as EMR's.
        """
        found = self._find(cluster_id, region)
        if found is None:
            raise invalid_request(f"Cluster id '{cluster_id}' is not valid.")
        return found

    def job_flow(self, cluster_id: str, region: str) -> Cluster:
        """The cluster, for the older operations that write.

        Raises:
            ApiError: ValidationException, as EMR's.
        """
        found = self._find(cluster_id, region)
        if found is None:
            raise validation_error("Specified job flow ID does not exist.")
        return found

    def job_flows(self, cluster_ids: list[str], region: str) -> list[Cluster]:
        """Several of them, at most ten."""
        if len(cluster_ids) > MAX_IDS:
            raise validation_error(f"{len(cluster_ids)} job flow ids; at most {MAX_IDS} are allowed.")
        return [self.job_flow(cluster_id, region) for cluster_id in cluster_ids]

    def find(self, cluster_id: str) -> Cluster | None:
        """The cluster of that id, wherever it is; none if there is none."""
        try:
            return self.clusters.get(cluster_id)
        except KeyError:
            return None

    def _find(self, cluster_id: str, region: str) -> Cluster | None:
        cluster = self.find(cluster_id)
        return cluster if cluster and cluster.region == region else None

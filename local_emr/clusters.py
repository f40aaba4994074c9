"""All clusters of one server: the one place where their states change, under one lock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_emr.model import Cluster


class Clusters:
    """Immutable cluster records by id; readers get a record that never changes under them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._clusters: dict[str, Cluster] = {}

    def add(self, cluster: Cluster) -> None:
        """A new cluster."""
        with self._changed:
            self._clusters[cluster.cluster_id] = cluster
            self._changed.notify_all()

    def get(self, cluster_id: str) -> Cluster:
        """The cluster as it is now; KeyError if there is none of that id."""
        with self._changed:
            return self._clusters[cluster_id]

    def all(self) -> list[Cluster]:
        """Every cluster, the newest first."""
        with self._changed:
            return sorted(self._clusters.values(), key=lambda cluster: cluster.created, reverse=True)

    def update(self, cluster_id: str, change: Callable[[Cluster], Cluster]) -> Cluster:
        """Replace the cluster by what `change` makes of it; nobody else changes it meanwhile.

        What `change` raises leaves the cluster as it was.
        """
        with self._changed:
            before = self._clusters[cluster_id]
            after = change(before)
            if after != before:
                self._clusters[cluster_id] = after
                self._changed.notify_all()
            return after

    def notify(self) -> None:
        """Have those who wait look again: something beside the records has changed."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, cluster_id: str, is_true: Callable[[Cluster], bool], timeout: float | None = None) -> Cluster:
        """Wait until `is_true` of the cluster, or `timeout` seconds; the cluster as it then is."""
        with self._changed:
            self._changed.wait_for(lambda: is_true(self._clusters[cluster_id]), timeout)
            return self._clusters[cluster_id]

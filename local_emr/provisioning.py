"""Where a cluster's node comes from: an interface apart from the API, and the node of this machine."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Protocol

from local_emr.environment import furnish_node, scratch_folders
from local_emr.node import Node, ProcessNode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_emr.model import Cluster, Instance, Reason
    from local_emr.settings import LocalEmrSettings


class ProvisioningError(RuntimeError):
    """There is no machine for the cluster.

    Attributes:
        reason: The cluster's state change reason.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


class Provisioner(Protocol):
    """Finds machines for clusters. Faults are put in by wrapping one (`faulty_node.py`)."""

    def provision(self, cluster: Cluster, on_lost: Callable[[], None]) -> Node:
        """The cluster's primary node; `on_lost` is called if it goes away by itself.

        Raises:
            ProvisioningError: There is none.
        """

    def provision_worker(
        self, cluster: Cluster, instance: Instance, on_lost: Callable[[], None], on_notice: Callable[[], None]
    ) -> Node:
        """A core or task node, under YARN; `on_notice` is called when EC2 announces that it takes the machine back."""

    def release(self, cluster: Cluster, node: Node) -> None:
        """Take back the primary node, whose processes have ended."""

    def release_worker(self, node: Node) -> None:
        """Take back a core or task node, whose processes have ended."""


class LocalProvisioner:
    """Gives each cluster a node that is a process of this machine."""

    def __init__(self, settings: LocalEmrSettings) -> None:
        """Start nothing yet."""
        self._settings = settings

    def provision(self, cluster: Cluster, on_lost: Callable[[], None]) -> Node:
        """A node whose root directory is furnished (see `Provisioner.provision`)."""
        root = self._primary_root(cluster)
        _furnish(root, cluster, is_primary=True)
        return ProcessNode(root, on_lost)

    def _primary_root(self, cluster: Cluster) -> Path:
        return self._settings.node_root or self._settings.work_dir / "clusters" / cluster.cluster_id / "root"

    def provision_worker(
        self,
        cluster: Cluster,
        instance: Instance,
        on_lost: Callable[[], None],
        on_notice: Callable[[], None],  # noqa: ARG002 - this machine takes no node back by itself
    ) -> Node:
        """A node with a root directory of its own, but for /opt, which is the primary node's (see `Provisioner`).

        A step names one path for the Python of all nodes, and nodes of one machine share its paths.
        """
        root = self._settings.work_dir / "clusters" / cluster.cluster_id / "nodes" / instance.instance_id
        root.mkdir(parents=True, exist_ok=True)
        (root / "opt").symlink_to(self._primary_root(cluster) / "opt")
        _furnish(root, cluster, is_primary=False)
        return ProcessNode(root, on_lost)

    def release_worker(self, node: Node) -> None:
        """Remove the node's root directory."""
        shutil.rmtree(node.root, ignore_errors=True)

    def release(self, cluster: Cluster, node: Node) -> None:
        """Remove the cluster's own root directory, or its scratch folders on one that is kept."""
        own = self._settings.node_root is None
        for folder in [node.root] if own else scratch_folders(node.root, cluster.cluster_id):
            shutil.rmtree(folder, ignore_errors=True)


def _furnish(root: Path, cluster: Cluster, *, is_primary: bool) -> None:
    furnish_node(root, cluster.cluster_id)
    info = root / "mnt" / "var" / "lib" / "info"
    (info / "instance.json").write_text(json.dumps({"isMaster": is_primary, "isRunningNameNode": False}))
    (info / "job-flow.json").write_text(json.dumps({"jobFlowId": cluster.cluster_id}))

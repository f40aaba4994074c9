"""The core and task nodes of a cluster under YARN: started, followed when the cluster is resized, lost, replaced."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from local_emr import lifecycle
from local_emr.node import NodeLostError
from local_emr.node_groups import replaced
from local_emr.yarn.cluster import YarnError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from local_emr.model import Cluster, Instance
    from local_emr.node import Node
    from local_emr.provisioning import Provisioner
    from local_emr.yarn.cluster import YarnCluster

_log = logging.getLogger(__name__)


class WorkerFailedError(RuntimeError):
    """A core or task node could not be made ready.

    Attributes:
        instance: The node.
        bootstrap_action: The number of the bootstrap action that failed.
    """

    def __init__(self, instance: Instance, what: str, bootstrap_action: int) -> None:
        super().__init__(what)
        self.instance = instance
        self.bootstrap_action = bootstrap_action


class Bootstrap(Protocol):
    """Runs the cluster's bootstrap actions."""

    def __call__(self, node: Node, instance: Instance) -> tuple[int, str] | None:
        """The number of the action that failed and what is wrong with it; none when all went well."""


class Workers:
    """The core and task nodes of one cluster; safe to share between threads."""

    def __init__(
        self,
        cluster_id: str,
        update: Callable[[Callable[[Cluster], Cluster]], Cluster],
        provisioner: Provisioner,
        yarn: YarnCluster,
        bootstrap: Bootstrap,
        now: Callable[[], datetime],
    ) -> None:
        """Start nothing yet; `update` replaces the cluster's record."""
        self._cluster_id = cluster_id
        self._update = update
        self._provisioner = provisioner
        self._yarn = yarn
        self._bootstrap = bootstrap
        self._now = now
        self._lock = threading.Lock()
        self._nodes: dict[str, Node] = {}
        self._closed = False
        self._over: set[str] = set()  # never to be started (again)

    def differ(self, cluster: Cluster) -> bool:
        """Whether the cluster has nodes that are not started, or was told to do without some that are."""
        wanted = {instance.instance_id for instance in _alive(cluster)}
        with self._lock:
            return wanted - self._over != self._nodes.keys()

    def follow(self, cluster: Cluster) -> None:
        """Start the nodes that the cluster has and stop those that it has no more.

        Raises:
            WorkerFailedError: One could not be made ready; the others are.
            YarnError: Its NodeManager did not come up.
        """
        wanted = {instance.instance_id: instance for instance in _alive(cluster)}
        with self._lock:
            surplus = [(name, node) for name, node in self._nodes.items() if name not in wanted]
            missing = [i for i in wanted.values() if i.instance_id not in self._nodes.keys() | self._over]
        for name, node in surplus:
            self._stop(name, node)
        if missing:
            with ThreadPoolExecutor(len(missing)) as threads:
                list(threads.map(lambda instance: self._start(cluster, instance), missing))

    def stop(self, grace: float) -> None:
        """End every node; none is started from now on."""
        with self._lock:
            self._closed = True
            nodes = dict(self._nodes)
        threads = [threading.Thread(target=node.stop, args=(grace,)) for node in nodes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name, node in nodes.items():
            self._stop(name, node)

    def _start(self, cluster: Cluster, instance: Instance) -> None:
        node = self._provisioner.provision_worker(
            cluster, instance, lambda: self._lost(instance), lambda: self._interrupted(instance)
        )
        with self._lock:
            self._nodes[instance.instance_id] = node
            closed = self._closed
        if closed:
            self._stop(instance.instance_id, node)
            return
        try:
            self._make_ready(instance, node)
            address = self._yarn.join(instance, node)
        except Exception as error:
            with self._lock:
                self._over.add(instance.instance_id)
            if isinstance(error, NodeLostError):
                raise YarnError(f"{instance.ec2_instance_id}: {error}") from error
            raise
        self._update(lambda c: _with_address(c, instance.instance_id, address))

    def _make_ready(self, instance: Instance, node: Node) -> None:
        failed = self._bootstrap(node, instance)
        if failed is not None:
            number, what = failed
            raise WorkerFailedError(instance, what, number)

    def _stop(self, name: str, node: Node) -> None:
        with self._lock:
            self._nodes.pop(name, None)
        node.stop(0)
        self._yarn.leave(name)
        self._provisioner.release_worker(node)

    def _interrupted(self, instance: Instance) -> None:
        """EC2 has announced that it takes this Spot machine back: YARN gives it no more containers."""
        _log.warning("cluster %s: Spot interruption notice for %s", self._cluster_id, instance.ec2_instance_id)
        self._yarn.decommission(instance.instance_id)

    def _lost(self, instance: Instance) -> None:
        """A node is gone by itself: EMR starts another in its place, unless it was the last core node."""
        _log.warning("cluster %s: the node %s is gone", self._cluster_id, instance.ec2_instance_id)
        with self._lock:
            node = self._nodes.pop(instance.instance_id, None)
            self._over.add(instance.instance_id)
        self._update(lambda cluster: _after_loss(cluster, instance, self._now()))
        self._yarn.leave(instance.instance_id)
        if node is not None:
            self._provisioner.release_worker(node)


def _alive(cluster: Cluster) -> list[Instance]:
    return [instance for instance in cluster.instances if instance.role != "MASTER" and instance.ended is None]


def _with_address(cluster: Cluster, instance_id: str, address: str) -> Cluster:
    instances = tuple(
        replace(instance, private_ip=address) if instance.instance_id == instance_id else instance
        for instance in cluster.instances
    )
    return replace(cluster, instances=instances)


def _after_loss(cluster: Cluster, lost: Instance, now: datetime) -> Cluster:
    """The cluster without the node: ending when it was the last core node, else with another one to start."""
    if cluster.state.is_ending:
        return cluster
    instances = tuple(
        replace(instance, ended=now) if instance.instance_id == lost.instance_id else instance
        for instance in cluster.instances
    )
    without = replace(cluster, instances=instances)
    if lost.role == "CORE" and not any(instance.role == "CORE" for instance in _alive(without)):
        return lifecycle.core_nodes_lost(without, now)
    return replaced(without, lost.group_id, now)

"""Faults of machines: a provisioner and a node that do what the ones they wrap do, until a fault strikes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from local_emr.faults import OF_STEPS, OF_WORKERS, Fault, FaultKind, Faults
from local_emr.model import Reason
from local_emr.node import NodeLostError
from local_emr.provisioning import ProvisioningError
from local_emr.yarn.cluster import SPOT_NOTICE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_emr.model import Cluster, Instance
    from local_emr.node import Command, Node, Running
    from local_emr.provisioning import Provisioner

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1
_FAILING_SCRIPT = "echo 'bootstrap action: error: it was told to fail' >&2; exit 1"


def names_of(cluster: Cluster) -> tuple[str, str]:
    """What a fault may call a cluster."""
    return cluster.cluster_id, cluster.name


@dataclass(frozen=True)
class _Worker:
    cluster_id: str
    instance: Instance
    node: Node
    on_notice: Callable[[], None]


class FaultyProvisioner:
    """Has no machine, or takes its time to give one back, when a fault says so."""

    def __init__(self, provisioner: Provisioner, faults: Faults, time_scale: float) -> None:
        """Wrap a provisioner; `time_scale` is the real seconds per second of a Spot interruption's notice."""
        self._provisioner = provisioner
        self._faults = faults
        self._time_scale = time_scale
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []

    def provision_worker(
        self, cluster: Cluster, instance: Instance, on_lost: Callable[[], None], on_notice: Callable[[], None]
    ) -> Node:
        """A core or task node that faults can strike (see `Provisioner.provision_worker`)."""
        node = self._provisioner.provision_worker(cluster, instance, on_lost, on_notice)
        with self._lock:
            self._workers.append(_Worker(cluster.cluster_id, instance, node, on_notice))
        return node

    def release_worker(self, node: Node) -> None:
        """See `Provisioner.release_worker`."""
        with self._lock:
            self._workers = [worker for worker in self._workers if worker.node is not node]
        self._provisioner.release_worker(node)

    def _strike_worker(self, fault: Fault, cluster_id: str) -> None:
        """Take a core or task node away: at once, or as EC2 takes a Spot machine back."""
        is_spot = fault.fault is FaultKind.SPOT_INTERRUPTION
        with self._lock:
            there = [worker for worker in self._workers if worker.cluster_id == cluster_id]
        found = [worker for worker in there if not is_spot or worker.instance.market == "SPOT"]
        if not found:
            _log.warning("cluster %s has no node for the fault %s", cluster_id, fault.fault)
            return
        worker = found[-1]
        if is_spot:
            worker.on_notice()
            time.sleep(SPOT_NOTICE_SECONDS * self._time_scale)
        worker.node.vanish()

    def provision(self, cluster: Cluster, on_lost: Callable[[], None]) -> Node:
        """A node that faults can strike (see `Provisioner.provision`)."""
        if self._faults.take(FaultKind.NO_CAPACITY, clusters=names_of(cluster)):
            kind = cluster.primary.instance_type
            # The error that AWS calls INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ, with EC2's words.
            message = f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested"
            raise ProvisioningError(Reason("INTERNAL_ERROR", message))
        node = self._provisioner.provision(cluster, on_lost)
        return FaultyNode(node, self._faults, names_of(cluster), self._strike_worker)

    def release(self, cluster: Cluster, node: Node) -> None:
        """Take a node back, sooner or later."""
        if slow := self._faults.take(FaultKind.TERMINATION_SLOW, clusters=names_of(cluster)):
            time.sleep(slow.seconds)
        self._provisioner.release(cluster, node)


class FaultyNode:
    """A node whose bootstrap actions fail, whose steps crash or hang, or which goes away, when a fault says so."""

    def __init__(
        self, node: Node, faults: Faults, names: tuple[str, str], strike_worker: Callable[[Fault, str], None]
    ) -> None:
        """Wrap the primary node of a cluster of these names; `strike_worker` takes one of its other nodes away."""
        self._strike_worker = strike_worker
        self._node = node
        self._faults = faults
        self._names = names

    @property
    def root(self) -> Path:
        """See `Node.root`."""
        return self._node.root

    def run(self, command: Command) -> Running:
        """Start a command (see `Node.run`), or what is in its place."""
        if command.step is None:
            fails = self._faults.take(FaultKind.BOOTSTRAP_FAILURE, clusters=self._names)
            return self._node.run(replace(command, argv=("/bin/sh", "-c", _FAILING_SCRIPT)) if fails else command)
        running = self._node.run(command)
        if fault := self._faults.take(*OF_STEPS, clusters=self._names, step=command.step):
            threading.Thread(
                target=self._strike, args=(fault, command, running), name=f"fault-{command.name}", daemon=True
            ).start()
        return running

    def stop(self, grace: float) -> None:
        """See `Node.stop`."""
        self._node.stop(grace)

    def vanish(self) -> None:
        """See `Node.vanish`."""
        self._node.vanish()

    def _strike(self, fault: Fault, command: Command, running: Running) -> None:
        """Wait for the fault's moment, unless the command ends first, and do it."""
        began = time.monotonic()
        with contextlib.suppress(NodeLostError):
            while running.wait(_LOOK_SECONDS) is None:
                if time.monotonic() - began < fault.after_seconds or not _has_written(command, fault.after_output):
                    continue
                _log.warning("step %s of cluster %s: %s, as told", command.step, self._names[0], fault.fault)
                if fault.fault is FaultKind.STEP_CRASH:
                    running.kill()
                elif fault.fault is FaultKind.STEP_HANG:
                    running.freeze()
                elif fault.fault in OF_WORKERS:
                    self._strike_worker(fault, self._names[0])
                else:
                    self._node.vanish()
                return


def _has_written(command: Command, text: str) -> bool:
    return any(text in log.read_text("utf-8", errors="replace") for log in (command.stdout, command.stderr))

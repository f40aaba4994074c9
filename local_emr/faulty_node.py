"""Faults of machines: a provisioner and a node that do what the ones they wrap do, until a fault strikes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from local_emr.faults import Fault, FaultKind, Faults
from local_emr.model import Reason
from local_emr.node import NodeLostError
from local_emr.provisioning import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_emr.model import Cluster
    from local_emr.node import Command, Node, Running
    from local_emr.provisioning import Provisioner

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.1
_FAILING_SCRIPT = "echo 'bootstrap action: error: it was told to fail' >&2; exit 1"


def names_of(cluster: Cluster) -> tuple[str, str]:
    """What a fault may call a cluster."""
    return cluster.cluster_id, cluster.name


class FaultyProvisioner:
    """Has no machine, or takes its time to give one back, when a fault says so."""

    def __init__(self, provisioner: Provisioner, faults: Faults) -> None:
        """Wrap a provisioner."""
        self._provisioner = provisioner
        self._faults = faults

    def provision(self, cluster: Cluster, on_lost: Callable[[], None]) -> Node:
        """A node that faults can strike (see `Provisioner.provision`)."""
        if self._faults.take(FaultKind.NO_CAPACITY, clusters=names_of(cluster)):
            kind = cluster.primary.instance_type
            # The error that AWS calls INTERNAL_ERROR_EC2_INSUFFICIENT_CAPACITY_AZ, with EC2's words.
            message = f"We currently do not have sufficient {kind} capacity in the Availability Zone you requested"
            raise ProvisioningError(Reason("INTERNAL_ERROR", message))
        return FaultyNode(self._provisioner.provision(cluster, on_lost), self._faults, names_of(cluster))

    def release(self, cluster: Cluster, node: Node) -> None:
        """Take a node back, sooner or later."""
        if slow := self._faults.take(FaultKind.TERMINATION_SLOW, clusters=names_of(cluster)):
            time.sleep(slow.seconds)
        self._provisioner.release(cluster, node)


class FaultyNode:
    """A node whose bootstrap actions fail, whose steps crash or hang, or which goes away, when a fault says so."""

    def __init__(self, node: Node, faults: Faults, names: tuple[str, str]) -> None:
        """Wrap a node of a cluster of these names."""
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
        kinds = (FaultKind.STEP_CRASH, FaultKind.STEP_HANG, FaultKind.NODE_LOST)
        if fault := self._faults.take(*kinds, clusters=self._names, step=command.step):
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
                else:
                    self._node.vanish()
                return


def _has_written(command: Command, text: str) -> bool:
    return any(text in log.read_text("utf-8", errors="replace") for log in (command.stdout, command.stderr))

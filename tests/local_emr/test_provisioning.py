"""Where nodes come from can be replaced, which is how faults get in without touching the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_emr import LocalEmrSettings
from local_emr.model import Reason
from local_emr.provisioning import LocalProvisioner, ProvisioningError
from local_emr.server import serving
from tests.local_emr.conftest import ACCESS_KEY, OVER, SECRET_KEY, bash, clients

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_emr.model import Cluster
    from local_emr.node import Command, Node, Running

NO_CAPACITY = Reason("INSTANCE_FAILURE", "Insufficient capacity for the requested instance type")


class _Moody(LocalProvisioner):
    """Has no machine for clusters called "big", and none that works for those called "broken"."""

    def provision(self, cluster: Cluster, on_lost: Callable[[], None]) -> Node:
        if cluster.name == "big":
            raise ProvisioningError(NO_CAPACITY)
        node = super().provision(cluster, on_lost)
        return _Broken(node) if cluster.name == "broken" else node


class _Broken:
    """A node on which the local EMR itself fails."""

    def __init__(self, node: Node) -> None:
        self.root = node.root
        self.stop = node.stop
        self.vanish = node.vanish

    def run(self, command: Command) -> Running:
        raise ZeroDivisionError(command.name)


def test_a_cluster_without_machine_or_with_a_broken_one_ends_with_errors_and_the_next_is_good(tmp_path: Path) -> None:
    settings = LocalEmrSettings(
        work_dir=tmp_path,
        provision_seconds=0,
        terminate_seconds=0,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )
    with serving(settings, _Moody(settings)) as endpoint:
        lab = clients(endpoint)
        ends = {
            name: lab.reach(lab.start(bash("true"), keep=False, LogUri="", Name=name), *OVER)
            for name in ("big", "broken", "good")
        }
    assert {name: (status["State"], status["StateChangeReason"]["Code"]) for name, status in ends.items()} == {
        "big": ("TERMINATED_WITH_ERRORS", "INSTANCE_FAILURE"),
        "broken": ("TERMINATED_WITH_ERRORS", "INTERNAL_ERROR"),
        "good": ("TERMINATED", "ALL_STEPS_COMPLETED"),
    }
    assert ends["big"]["StateChangeReason"]["Message"] == NO_CAPACITY.message

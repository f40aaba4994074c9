"""The addresses of one cluster's nodes: a /24 of this machine's loopback network, in which each node has its own.

Every daemon then listens on its usual port, and Spark sees as many hosts as there are nodes.
"""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass

#: The ResourceManager's own: where nobody listens on it, no other local cluster has these addresses.
_CLAIM_PORT = 8032
_TRIES = 50
_LAST_HOST = 254


class NoSubnetError(RuntimeError):
    """There is no free part of the loopback network."""


@dataclass(frozen=True)
class Subnet:
    """Part of 127.0.0.0/8; `prefix` is its first three numbers."""

    prefix: str

    @property
    def primary(self) -> str:
        """The primary node's address."""
        return f"{self.prefix}.1"

    def worker(self, number: int) -> str:
        """The address of the core or task node of that number, from 1 on.

        Raises:
            NoSubnetError: There are no more.
        """
        if not 1 <= number < _LAST_HOST:
            raise NoSubnetError(f"a local cluster has addresses for {_LAST_HOST - 1} core and task nodes")
        return f"{self.prefix}.{number + 1}"


def free_subnet() -> Subnet:
    """A subnet that no other cluster of this machine uses.

    Raises:
        NoSubnetError: None was found.
    """
    for _ in range(_TRIES):
        subnet = Subnet(f"127.{random.randrange(16, 240)}.{random.randrange(256)}")  # noqa: S311 - no secret
        if _is_free(subnet.primary):
            return subnet
    raise NoSubnetError("no free addresses were found in 127.0.0.0/8: does this machine have all of it, as Linux does?")


def _is_free(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, _CLAIM_PORT))
        except OSError:
            return False
    return True

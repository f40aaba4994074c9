"""What EMR, YARN and EC2 answered, judged: pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from verger.cluster.tags import OWNER_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: What show_executors.py puts before its JSON object.
EXECUTORS_MARK = "verger: executors: "


class Judgement(NamedTuple):
    """What was seen, in words, and whether it is what was expected."""

    seen: str
    good: bool


def has_our_tag(cluster: Mapping[str, Any]) -> bool:
    """Whether DescribeCluster's answer shows the tag by which IAM and the reaper go."""
    return any((tag["Key"], tag.get("Value")) == OWNER_TAG for tag in cluster.get("Tags", ()))


class WantedExecutors(NamedTuple):
    """What a cluster's Spark properties ask for; memory with overhead, in MiB."""

    number: int
    cores: int
    memory_mib: int
    nodes: int

    @classmethod
    def of(cls, properties: Mapping[str, str], nodes: int) -> WantedExecutors:
        """From Spark's properties of a cluster."""
        heap, overhead = (
            int(properties[name].removesuffix("m"))
            for name in ("spark.executor.memory", "spark.executor.memoryOverhead")
        )
        cores = int(properties["spark.executor.cores"])
        return cls(int(properties["spark.executor.instances"]), cores, heap + overhead, nodes)

    def __str__(self) -> str:
        """As an expectation says it."""
        return (
            f"{self.number} executors of {self.cores} cores in containers of {self.memory_mib:,} MiB "
            f"on {self.nodes} nodes, none resized"
        )


def read_executors(stdout: str) -> dict[str, Any] | None:
    """What show_executors.py printed; None when it did not get that far."""
    lines = [line for line in stdout.splitlines() if line.startswith(EXECUTORS_MARK)]
    found: dict[str, Any] | None = json.loads(lines[-1].removeprefix(EXECUTORS_MARK)) if lines else None
    return found


def judge_executors(wanted: WantedExecutors, found: Mapping[str, Any]) -> Judgement:
    """Compare the executors that were got with those that were asked for.

    A fleet may draw larger machines than the one asked for, which take more executors: more are no difference.
    """
    cores = sorted(executor["cores"] for executor in found["executors"])
    hosts = {executor["host"] for executor in found["executors"]}
    # An application's first container is its master's.
    memory = sorted(box["memory_mib"] for box in found["containers"] if not box["id"].endswith("_000001"))
    seen = (
        f"{len(cores)} executors of {_each(cores)} cores in {len(memory)} containers of {_each(memory)} MiB "
        f"on {len(hosts)} of {len(found['nodes'])} nodes"
    )
    good = (
        len(cores) >= wanted.number
        and len(memory) == len(cores)
        and set(cores) == {wanted.cores}
        and set(memory) == {wanted.memory_mib}
        and len(hosts) == len(found["nodes"])
    )
    return Judgement(seen, good)


def _each(numbers: Iterable[int]) -> str:
    return " and ".join(f"{number:,}" for number in sorted(set(numbers))) or "no"


def judge_spot(
    instances: Sequence[Mapping[str, Any]],
    volumes: Sequence[Mapping[str, Any]] | None,
    security_configuration: str | None,
) -> Judgement:
    """Whether the task nodes are Spot machines that started, encrypted where a security configuration says so.

    Args:
        instances: the cluster's machines, from ListInstances.
        volumes: the Spot machines' volumes, from EC2's DescribeVolumes; None when they could not be looked at.
        security_configuration: the cluster's; None for none.
    """
    spot = [instance for instance in instances if instance.get("Market") == "SPOT"]
    running = [instance for instance in spot if instance["Status"]["State"] == "RUNNING"]
    kinds = ", ".join(sorted(instance["InstanceType"] for instance in running)) or "none"
    ways = "no security configuration" if security_configuration is None else f"with {security_configuration}"
    if volumes is None:
        disks = "their disks could not be looked at"
    else:
        disks = f"{sum(bool(volume['Encrypted']) for volume in volumes)} of {len(volumes)} disks are encrypted"
    plain = any(not volume["Encrypted"] for volume in volumes or ())
    good = bool(spot) and len(running) == len(spot) and not (security_configuration and plain)
    return Judgement(f"{len(running)} of {len(spot)} Spot nodes run ({kinds}), {ways}; {disks}", good)

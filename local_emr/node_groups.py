"""Instance groups and fleets of a cluster, and the machines that they would have.

They are records; which of them are real says the server's provisioner. Types and markets are as EMR would choose them
in the simplest case: capacity is always there, and a fleet takes its first instance type.
"""

from __future__ import annotations

import random
import string
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local_emr.errors import validation_error
from local_emr.model import Cluster, Instance, NodeGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

_ALPHABET = string.ascii_uppercase + string.digits
_MAX_CORE_GROUPS = 1


def new_id(prefix: str) -> str:
    """An id as EMR makes them: the prefix and 13 letters and digits."""
    return f"{prefix}-{''.join(random.choices(_ALPHABET, k=13))}"  # noqa: S311 - a name, not a secret


def requested_groups(instances: Mapping[str, Any], now: datetime) -> tuple[NodeGroup, ...]:
    """The node groups that RunJobFlow's `Instances` asks for.

    Raises:
        ApiError: None, both kinds, no primary node, or numbers that EMR refuses.
    """
    fleets, groups = instances.get("InstanceFleets") or [], instances.get("InstanceGroups") or []
    shorthand = _from_shorthand(instances)
    if sum(bool(kind) for kind in (fleets, groups, shorthand)) > 1:
        raise validation_error("Instance fleets, instance groups and instance types are mutually exclusive.")
    asked = tuple(new_group(request, is_fleet=bool(fleets), now=now) for request in fleets or groups or shorthand)
    roles = [group.role for group in asked]
    if roles.count("MASTER") != 1:
        raise validation_error(
            f"A cluster has exactly one master instance group or fleet, not {roles.count('MASTER')}."
        )
    if roles.count("CORE") > _MAX_CORE_GROUPS:
        raise validation_error("A cluster has at most one core instance group or fleet.")
    if fleets and roles.count("TASK") > 1:
        raise validation_error("A cluster has at most one task instance fleet.")
    return asked


def _from_shorthand(instances: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The groups meant by MasterInstanceType, SlaveInstanceType and InstanceCount."""
    primary = instances.get("MasterInstanceType")
    count = int(instances.get("InstanceCount") or 1)
    if not primary:
        return []
    groups = [{"InstanceRole": "MASTER", "InstanceType": primary, "InstanceCount": 1}]
    if count > 1:
        core = instances.get("SlaveInstanceType") or primary
        groups.append({"InstanceRole": "CORE", "InstanceType": core, "InstanceCount": count - 1})
    return groups


def new_group(request: Mapping[str, Any], *, is_fleet: bool, now: datetime) -> NodeGroup:
    """One node group, checked."""
    if is_fleet:
        _check_fleet(request)
        return NodeGroup(new_id("if"), request["InstanceFleetType"], is_fleet=True, request=request, created=now)
    if int(request["InstanceCount"]) < 1 and request["InstanceRole"] != "TASK":
        raise validation_error(f"The instance group of role {request['InstanceRole']} has no instance.")
    return NodeGroup(new_id("ig"), request["InstanceRole"], is_fleet=False, request=request, created=now)


def _check_fleet(request: Mapping[str, Any]) -> None:
    role = request["InstanceFleetType"]
    on_demand, spot = _targets(request)
    if on_demand + spot < 1 and role != "TASK":
        raise validation_error(f"The instance fleet of type {role} has no target capacity.")
    if role == "MASTER" and on_demand + spot != 1:
        raise validation_error(f"The target capacity of the master instance fleet must be 1, not {on_demand + spot}.")
    if not request.get("InstanceTypeConfigs"):
        raise validation_error(f"The instance fleet of type {role} names no instance type.")
    specification = (request.get("LaunchSpecifications") or {}).get("SpotSpecification")
    if specification and not 5 <= int(specification["TimeoutDurationMinutes"]) <= 1440:  # noqa: PLR2004 - AWS's bounds
        minutes = specification["TimeoutDurationMinutes"]
        raise validation_error(f"The Spot timeout must be between 5 and 1440 minutes, not {minutes}.")


def _targets(request: Mapping[str, Any]) -> tuple[int, int]:
    return int(request.get("TargetOnDemandCapacity") or 0), int(request.get("TargetSpotCapacity") or 0)


def new_instances(group: NodeGroup, now: datetime) -> tuple[Instance, ...]:
    """The machines of a new group."""
    return tuple(_wanted(group, (), now))


def _wanted(group: NodeGroup, present: Iterable[Instance], now: datetime) -> Iterable[Instance]:
    """The machines that the group's request asks for beyond those present."""
    have = list(present)
    if not group.is_fleet:
        market = group.request.get("Market") or "ON_DEMAND"
        missing = int(group.request["InstanceCount"]) - len(have)
        kind = group.request["InstanceType"]
        return [_instance(group, market, kind, 1, now) for _ in range(missing)]
    first = group.request["InstanceTypeConfigs"][0]
    weight = int(first.get("WeightedCapacity") or 1) or 1
    new = []
    for market, target in zip(("ON_DEMAND", "SPOT"), _targets(group.request), strict=True):
        missing = target - sum(instance.capacity for instance in have if instance.market == market)
        machines = -(-missing // weight) if missing > 0 else 0
        new += [_instance(group, market, first["InstanceType"], weight, now) for _ in range(machines)]
    return new


def _instance(group: NodeGroup, market: str, kind: str, capacity: int, now: datetime) -> Instance:
    return Instance(
        instance_id=new_id("ci"),
        ec2_instance_id=f"i-0{random.getrandbits(64):016x}",
        group_id=group.group_id,
        role=group.role,
        market=market,
        instance_type=kind,
        private_ip=f"10.0.{random.randrange(256)}.{random.randrange(4, 255)}",  # noqa: S311
        capacity=capacity,
        created=now,
    )


def with_group(cluster: Cluster, group: NodeGroup, now: datetime) -> Cluster:
    """The cluster with one more node group."""
    instances = cluster.instances + new_instances(group, now)
    return replace(cluster, groups=(*cluster.groups, group), instances=instances)


def resized(cluster: Cluster, group_id: str, change: Mapping[str, Any], now: datetime) -> Cluster:
    """The cluster with `change` merged into a group's request, and machines added or ended to match.

    Raises:
        ApiError: The cluster has no such group, or it is the primary's.
    """
    group = next((group for group in cluster.groups if group.group_id == group_id), None)
    if group is None:
        raise validation_error(f"Instance group or fleet id '{group_id}' is not valid.")
    if group.role == "MASTER":
        raise validation_error("The master instance group or fleet cannot be resized.")
    bigger = replace(group, request={**group.request, **change})
    alive = [i for i in cluster.instances if i.group_id == group_id and i.ended is None]
    ended = {instance.instance_id for instance in _surplus(bigger, alive)}
    instances = tuple(replace(i, ended=now) if i.instance_id in ended else i for i in cluster.instances)
    instances += tuple(_wanted(bigger, [i for i in alive if i.instance_id not in ended], now))
    groups = tuple(bigger if g.group_id == group_id else g for g in cluster.groups)
    return replace(cluster, groups=groups, instances=instances)


def replaced(cluster: Cluster, group_id: str, now: datetime) -> Cluster:
    """The cluster with new machines in place of those of a group that ended by themselves."""
    group = next(group for group in cluster.groups if group.group_id == group_id)
    alive = [instance for instance in cluster.instances if instance.group_id == group_id and instance.ended is None]
    return replace(cluster, instances=(*cluster.instances, *_wanted(group, alive, now)))


def _surplus(group: NodeGroup, alive: list[Instance]) -> list[Instance]:
    """The youngest machines that the group can do without."""
    if not group.is_fleet:
        return alive[int(group.request["InstanceCount"]) :]
    surplus = []
    for market, target in zip(("ON_DEMAND", "SPOT"), _targets(group.request), strict=True):
        held = 0
        for instance in alive:
            if instance.market == market:
                surplus += [instance] if held >= target else []
                held += instance.capacity
    return surplus

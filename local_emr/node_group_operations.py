"""The operations on instance groups, instance fleets and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_emr import descriptions, node_groups
from local_emr.cluster_runner import now
from local_emr.errors import invalid_request, validation_error
from local_emr.new_cluster import check_open
from local_emr.paging import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_emr.model import Cluster, Instance, NodeGroup
    from local_emr.service import Service

_PAGE = 2000  # EMR: ListInstances


def list_instance_groups(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListInstanceGroups."""
    cluster = service.cluster(request["ClusterId"], region)
    if cluster.groups[0].is_fleet:
        raise invalid_request("Instance fleets and instance groups are mutually exclusive: the cluster uses fleets.")
    return {"InstanceGroups": [descriptions.instance_group(cluster, group) for group in cluster.groups]}


def list_instance_fleets(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListInstanceFleets."""
    cluster = service.cluster(request["ClusterId"], region)
    if not cluster.groups[0].is_fleet:
        raise invalid_request("Instance fleets and instance groups are mutually exclusive: the cluster uses groups.")
    return {"InstanceFleets": [descriptions.instance_fleet(cluster, group) for group in cluster.groups]}


def list_instances(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListInstances."""
    cluster = service.cluster(request["ClusterId"], region)
    chosen = [instance for instance in cluster.instances if _is_wanted(cluster, instance, request)]
    instances, marker = page(chosen, request.get("Marker"), _PAGE, lambda instance: instance.instance_id)
    answer: dict[str, Any] = {"Instances": [descriptions.instance_details(cluster, instance) for instance in instances]}
    return answer | ({"Marker": marker} if marker else {})


def _is_wanted(cluster: Cluster, instance: Instance, request: Mapping[str, Any]) -> bool:
    group = request.get("InstanceGroupId") or request.get("InstanceFleetId")
    roles = set(request.get("InstanceGroupTypes") or [])
    roles |= {request["InstanceFleetType"]} if request.get("InstanceFleetType") else set()
    states = request.get("InstanceStates")
    return (
        (not group or instance.group_id == group)
        and (not roles or instance.role in roles)
        and (not states or descriptions.instance_state(cluster, instance) in states)
    )


def add_instance_fleet(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """AddInstanceFleet."""
    cluster = service.cluster(request["ClusterId"], region)
    group = node_groups.new_group(request["InstanceFleet"], is_fleet=True, now=now())
    _add(service, cluster, [group])
    return {"ClusterId": cluster.cluster_id, "InstanceFleetId": group.group_id, "ClusterArn": cluster.arn}


def add_instance_groups(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """AddInstanceGroups."""
    cluster = service.job_flow(request["JobFlowId"], region)
    groups = [node_groups.new_group(asked, is_fleet=False, now=now()) for asked in request["InstanceGroups"]]
    _add(service, cluster, groups)
    ids = [group.group_id for group in groups]
    return {"JobFlowId": cluster.cluster_id, "InstanceGroupIds": ids, "ClusterArn": cluster.arn}


def _add(service: Service, cluster: Cluster, groups: list[NodeGroup]) -> None:
    def add(current: Cluster) -> Cluster:
        check_open(current)
        for group in groups:
            present = {other.role for other in current.groups}
            if group.is_fleet is not current.groups[0].is_fleet:
                raise validation_error("Instance fleets and instance groups are mutually exclusive.")
            if group.role != "TASK" and group.role in present:
                raise validation_error(f"The cluster has an instance group or fleet of role {group.role} already.")
            if group.is_fleet and group.role in present:
                raise validation_error("The cluster has a task instance fleet already.")
            current = node_groups.with_group(current, group, now())
        return current

    service.change(cluster.cluster_id, add)


def modify_instance_fleet(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ModifyInstanceFleet."""
    cluster = service.cluster(request["ClusterId"], region)
    change = dict(request["InstanceFleet"])
    _resize(service, cluster, [(change.pop("InstanceFleetId"), change)])
    return {}


def modify_instance_groups(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ModifyInstanceGroups: the numbers of machines."""
    if "ClusterId" not in request:
        raise validation_error("ModifyInstanceGroups needs the ClusterId here.")
    cluster = service.cluster(request["ClusterId"], region)
    changes = [
        (asked["InstanceGroupId"], {"InstanceCount": asked["InstanceCount"]})
        for asked in request.get("InstanceGroups") or []
        if asked.get("InstanceCount") is not None
    ]
    _resize(service, cluster, changes)
    return {}


def _resize(service: Service, cluster: Cluster, changes: list[tuple[str, dict[str, Any]]]) -> None:
    def resize(current: Cluster) -> Cluster:
        check_open(current)
        for group_id, change in changes:
            current = node_groups.resized(current, group_id, change, now())
        return current

    service.change(cluster.cluster_id, resize)

"""The operations on clusters as a whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local_emr import descriptions, lifecycle
from local_emr.cluster_runner import now
from local_emr.errors import invalid_request, validation_error
from local_emr.new_cluster import check_open, idle_timeout, new_cluster, step_concurrency
from local_emr.paging import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_emr.model import Cluster
    from local_emr.service import Service

_PAGE = 50  # EMR: ListClusters
_MOST_TAGS = 10  # EMR: AddTags


def run_job_flow(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """RunJobFlow."""
    cluster = new_cluster(request, region, service.account_id, now())
    service.launch(cluster)
    return {"JobFlowId": cluster.cluster_id, "ClusterArn": cluster.arn}


def describe_cluster(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """DescribeCluster."""
    return {"Cluster": descriptions.cluster_details(service.cluster(request["ClusterId"], region))}


def list_clusters(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListClusters, the newest first."""
    states = request.get("ClusterStates")
    after, before = _time(request.get("CreatedAfter")), _time(request.get("CreatedBefore"))
    chosen = [
        cluster
        for cluster in service.clusters.all()
        if cluster.region == region
        and (not states or cluster.state in states)
        and (after is None or cluster.created > after)
        and (before is None or cluster.created < before)
    ]
    clusters, marker = page(chosen, request.get("Marker"), _PAGE, lambda cluster: cluster.cluster_id)
    answer: dict[str, Any] = {"Clusters": [descriptions.cluster_summary(cluster) for cluster in clusters]}
    return answer | ({"Marker": marker} if marker else {})


def _time(value: float | str | None) -> datetime | None:
    if value is None:
        return None
    return datetime.fromisoformat(value) if isinstance(value, str) else datetime.fromtimestamp(value, UTC)


def terminate_job_flows(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """TerminateJobFlows: those that are protected stay, the others end, and the answer says so."""
    clusters = service.job_flows(request["JobFlowIds"], region)
    refused = []

    def end(cluster: Cluster) -> Cluster:
        if cluster.protected and not cluster.state.is_ending:
            refused.append(cluster.cluster_id)
            return cluster
        return lifecycle.terminating(cluster, lifecycle.USER_REQUEST, now())

    for cluster in clusters:
        service.change(cluster.cluster_id, end)
    if refused:
        raise validation_error("Could not shut down one or more job flows since they are termination protected.")
    return {}


def set_termination_protection(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """SetTerminationProtection."""
    for cluster in service.job_flows(request["JobFlowIds"], region):
        _change_open(service, cluster, protected=request["TerminationProtected"])
    return {}


def set_keep_alive(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """SetKeepJobFlowAliveWhenNoSteps; a cluster that waits and is no longer to be kept ends."""
    for cluster in service.job_flows(request["JobFlowIds"], region):
        _change_open(service, cluster, keep_alive=request["KeepJobFlowAliveWhenNoSteps"])
        service.change(cluster.cluster_id, lambda changed: lifecycle.settled(changed, now()))
    return {}


def set_visible_to_all_users(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """SetVisibleToAllUsers."""
    for cluster in service.job_flows(request["JobFlowIds"], region):
        _change_open(service, cluster, visible=request["VisibleToAllUsers"])
    return {}


def modify_cluster(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ModifyCluster."""
    cluster = service.cluster(request["ClusterId"], region)
    level = step_concurrency(request.get("StepConcurrencyLevel") or cluster.step_concurrency)
    _change_open(service, cluster, step_concurrency=level)
    return {"StepConcurrencyLevel": level}


def add_tags(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """AddTags."""
    cluster = service.cluster(request["ResourceId"], region)
    tags = {tag["Key"]: tag.get("Value") or "" for tag in request["Tags"]}

    def add(current: Cluster) -> Cluster:
        merged = {**current.tags, **tags}
        if len(merged) > _MOST_TAGS:
            raise invalid_request(f"{len(merged)} tags; at most {_MOST_TAGS} are allowed.")
        return replace(current, tags=merged)

    service.change(cluster.cluster_id, add)
    return {}


def remove_tags(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """RemoveTags."""
    cluster = service.cluster(request["ResourceId"], region)
    gone = set(request["TagKeys"])

    def remove(current: Cluster) -> Cluster:
        return replace(current, tags={key: value for key, value in current.tags.items() if key not in gone})

    service.change(cluster.cluster_id, remove)
    return {}


def put_auto_termination_policy(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """PutAutoTerminationPolicy."""
    cluster = service.cluster(request["ClusterId"], region)
    _change_open(service, cluster, idle_timeout=idle_timeout(request.get("AutoTerminationPolicy") or {}))
    return {}


def get_auto_termination_policy(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """GetAutoTerminationPolicy."""
    seconds = service.cluster(request["ClusterId"], region).idle_timeout
    return {} if seconds is None else {"AutoTerminationPolicy": {"IdleTimeout": seconds}}


def remove_auto_termination_policy(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """RemoveAutoTerminationPolicy."""
    _change_open(service, service.cluster(request["ClusterId"], region), idle_timeout=None)
    return {}


def put_managed_scaling_policy(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """PutManagedScalingPolicy: kept and told, but nothing scales here."""
    cluster = service.cluster(request["ClusterId"], region)
    _change_open(service, cluster, managed_scaling=request["ManagedScalingPolicy"])
    return {}


def get_managed_scaling_policy(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """GetManagedScalingPolicy."""
    policy = service.cluster(request["ClusterId"], region).managed_scaling
    return {} if policy is None else {"ManagedScalingPolicy": policy}


def remove_managed_scaling_policy(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """RemoveManagedScalingPolicy."""
    _change_open(service, service.cluster(request["ClusterId"], region), managed_scaling=None)
    return {}


def list_bootstrap_actions(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListBootstrapActions."""
    return {"BootstrapActions": descriptions.bootstrap_actions(service.cluster(request["ClusterId"], region))}


def _change_open(service: Service, cluster: Cluster, **changes: object) -> None:
    def change(current: Cluster) -> Cluster:
        check_open(current)
        return replace(current, **changes)  # type: ignore[arg-type] # the callers above name the fields

    service.change(cluster.cluster_id, change)

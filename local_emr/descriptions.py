"""Clusters, steps and machines in the shapes of EMR's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_emr.model import Cluster, ClusterState, Instance, NodeGroup, Step

if TYPE_CHECKING:
    from datetime import datetime

_GROUP_STATES = {
    ClusterState.STARTING: "PROVISIONING",
    ClusterState.BOOTSTRAPPING: "BOOTSTRAPPING",
    ClusterState.RUNNING: "RUNNING",
    ClusterState.WAITING: "RUNNING",
    ClusterState.TERMINATING: "TERMINATING",
    ClusterState.TERMINATED: "TERMINATED",
    ClusterState.TERMINATED_WITH_ERRORS: "TERMINATED",
}
# fmt: off
_COPIED_FROM_REQUEST = (
    "LogEncryptionKmsKeyId", "ReleaseLabel", "ServiceRole", "Configurations", "SecurityConfiguration",
    "AutoScalingRole", "ScaleDownBehavior", "CustomAmiId", "EbsRootVolumeSize", "EbsRootVolumeIops",
    "EbsRootVolumeThroughput", "RepoUpgradeOnBoot", "KerberosAttributes", "OSReleaseLabel", "ExtendedSupport",
)
# fmt: on
# fmt: off
_COPIED_TO_ATTRIBUTES = (
    "Ec2KeyName", "Ec2SubnetId", "EmrManagedMasterSecurityGroup", "EmrManagedSlaveSecurityGroup",
    "ServiceAccessSecurityGroup", "AdditionalMasterSecurityGroups", "AdditionalSlaveSecurityGroups",
)
# fmt: on
_COPIED_TO_FLEET = ["Name", "LaunchSpecifications", "ResizeSpecifications", "Context"]


def _timeline(**times: datetime | None) -> dict[str, datetime]:
    return {f"{name}DateTime": time for name, time in times.items() if time is not None}


def cluster_status(cluster: Cluster) -> dict[str, Any]:
    """`ClusterStatus`."""
    reason = {"Message": cluster.reason.message}
    if cluster.reason.code is not None:
        reason["Code"] = cluster.reason.code
    times = _timeline(Creation=cluster.created, Ready=cluster.ready, End=cluster.ended)
    return {"State": cluster.state.value, "StateChangeReason": reason, "Timeline": times}


def cluster_summary(cluster: Cluster) -> dict[str, Any]:
    """`ClusterSummary`."""
    return {
        "Id": cluster.cluster_id,
        "Name": cluster.name,
        "Status": cluster_status(cluster),
        "NormalizedInstanceHours": 0,
        "ClusterArn": cluster.arn,
    }


def cluster_details(cluster: Cluster) -> dict[str, Any]:
    """`Cluster`."""
    request = cluster.request
    details = cluster_summary(cluster) | {
        "Ec2InstanceAttributes": _ec2_attributes(cluster),
        "InstanceCollectionType": "INSTANCE_FLEET" if cluster.groups[0].is_fleet else "INSTANCE_GROUP",
        "AutoTerminate": not cluster.keep_alive,
        "TerminationProtected": cluster.protected,
        "VisibleToAllUsers": cluster.visible,
        "Applications": [
            {name: value for name, value in application.items() if name in ("Name", "Version", "Args")}
            for application in request.get("Applications") or []
        ],
        "Tags": [{"Key": key, "Value": value} for key, value in cluster.tags.items()],
        "MasterPublicDnsName": _dns_name(cluster, cluster.primary),
        "StepConcurrencyLevel": cluster.step_concurrency,
        "PlacementGroups": request.get("PlacementGroupConfigs") or [],
    }
    details |= {name: request[name] for name in _COPIED_FROM_REQUEST if request.get(name) is not None}
    if cluster.log_uri:
        # EMR answers with its own name for the address.
        details["LogUri"] = "s3n://" + cluster.log_uri.partition("://")[2] + "/"
    return details


def _ec2_attributes(cluster: Cluster) -> dict[str, Any]:
    instances = cluster.request["Instances"]
    attributes = {name: instances[name] for name in _COPIED_TO_ATTRIBUTES if instances.get(name)}
    subnets = instances.get("Ec2SubnetIds") or []
    if subnets:
        attributes |= {"RequestedEc2SubnetIds": subnets, "Ec2SubnetId": subnets[0]}
    zone = (instances.get("Placement") or {}).get("AvailabilityZone") or f"{cluster.region}a"
    return attributes | {"Ec2AvailabilityZone": zone, "IamInstanceProfile": cluster.request.get("JobFlowRole")}


def _dns_name(cluster: Cluster, instance: Instance) -> str:
    return f"ip-{instance.private_ip.replace('.', '-')}.{cluster.region}.compute.internal"


def step_summary(step: Step) -> dict[str, Any]:
    """`StepSummary`, which is also a `Step`."""
    config: dict[str, Any] = {"Jar": step.jar, "Args": list(step.args), "Properties": dict(step.properties)}
    if step.main_class:
        config["MainClass"] = step.main_class
    status: dict[str, Any] = {
        "State": step.state.value,
        "StateChangeReason": {"Message": step.message} if step.message else {},
        "Timeline": _timeline(Creation=step.created, Start=step.started, End=step.ended),
    }
    if step.failure is not None:
        details = {"Reason": step.failure.reason, "Message": step.failure.message, "LogFile": step.failure.log_file}
        status["FailureDetails"] = {name: value for name, value in details.items() if value}
    return {
        "Id": step.step_id,
        "Name": step.name,
        "Config": config,
        "ActionOnFailure": step.action_on_failure,
        "Status": status,
    }


def bootstrap_actions(cluster: Cluster) -> list[dict[str, Any]]:
    """A list of `Command`."""
    return [
        {"Name": action.name, "ScriptPath": action.path, "Args": list(action.args)}
        for action in cluster.bootstrap_actions
    ]


def instance_details(cluster: Cluster, instance: Instance) -> dict[str, Any]:
    """`Instance`."""
    state = instance_state(cluster, instance)
    ready = max(cluster.ready, instance.created) if cluster.ready else None
    reason = {"Code": "CLUSTER_TERMINATED", "Message": "Cluster was terminated."} if state == "TERMINATED" else {}
    group = "InstanceFleetId" if instance.group_id.startswith("if-") else "InstanceGroupId"
    return {
        "Id": instance.instance_id,
        "Ec2InstanceId": instance.ec2_instance_id,
        "PrivateDnsName": _dns_name(cluster, instance),
        "PrivateIpAddress": instance.private_ip,
        "PublicDnsName": "",
        "Status": {
            "State": state,
            "StateChangeReason": reason,
            "Timeline": _timeline(Creation=instance.created, Ready=ready, End=instance.ended),
        },
        group: instance.group_id,
        "Market": instance.market,
        "InstanceType": instance.instance_type,
        "EbsVolumes": [],
    }


def instance_state(cluster: Cluster, instance: Instance) -> str:
    """`InstanceState`: a machine is what its cluster is, until it has ended."""
    if instance.ended is not None:
        return "TERMINATED"
    state = _GROUP_STATES[cluster.state]
    return "RUNNING" if state == "TERMINATING" else state


def _group_status(cluster: Cluster, group: NodeGroup) -> dict[str, Any]:
    state = _GROUP_STATES[cluster.state]
    over = state in ("TERMINATING", "TERMINATED")
    reason = {"Code": "CLUSTER_TERMINATED", "Message": "Job flow terminated"} if over else {"Message": ""}
    times = _timeline(Creation=group.created, Ready=cluster.ready, End=cluster.ended)
    return {"State": state, "StateChangeReason": reason, "Timeline": times}


def _alive(cluster: Cluster, group: NodeGroup) -> list[Instance]:
    if _GROUP_STATES[cluster.state] == "PROVISIONING":
        return []
    return [i for i in cluster.instances if i.group_id == group.group_id and i.ended is None]


def instance_group(cluster: Cluster, group: NodeGroup) -> dict[str, Any]:
    """`InstanceGroup`."""
    request = group.request
    default_names = {"MASTER": "Master Instance Group", "CORE": "Core Instance Group", "TASK": "Task Instance Group"}
    details = {
        "Id": group.group_id,
        "Name": request.get("Name") or default_names[group.role],
        "Market": request.get("Market") or "ON_DEMAND",
        "InstanceGroupType": group.role,
        "InstanceType": request["InstanceType"],
        "RequestedInstanceCount": request["InstanceCount"],
        "RunningInstanceCount": len(_alive(cluster, group)),
        "Status": _group_status(cluster, group),
        "EbsBlockDevices": _ebs_devices(request.get("EbsConfiguration")),
        "Configurations": request.get("Configurations") or [],
        "ShrinkPolicy": {},
    }
    return details | ({"BidPrice": request["BidPrice"]} if request.get("BidPrice") else {})


def _ebs_devices(configuration: dict[str, Any] | None) -> list[dict[str, Any]]:
    devices: list[dict[str, Any]] = []
    for volume in (configuration or {}).get("EbsBlockDeviceConfigs") or []:
        for _ in range(volume.get("VolumesPerInstance") or 1):
            name = f"/dev/sd{chr(ord('b') + len(devices))}"
            devices.append({"VolumeSpecification": volume["VolumeSpecification"], "Device": name})
    return devices


def instance_fleet(cluster: Cluster, group: NodeGroup) -> dict[str, Any]:
    """`InstanceFleet`."""
    alive = _alive(cluster, group)
    details = {
        "Id": group.group_id,
        "Status": _group_status(cluster, group),
        "InstanceFleetType": group.role,
        "TargetOnDemandCapacity": int(group.request.get("TargetOnDemandCapacity") or 0),
        "TargetSpotCapacity": int(group.request.get("TargetSpotCapacity") or 0),
        "ProvisionedOnDemandCapacity": sum(i.capacity for i in alive if i.market == "ON_DEMAND"),
        "ProvisionedSpotCapacity": sum(i.capacity for i in alive if i.market == "SPOT"),
        "InstanceTypeSpecifications": [
            {
                **{key: value for key, value in config.items() if key != "EbsConfiguration"},
                "WeightedCapacity": config.get("WeightedCapacity") or 1,
                "EbsBlockDevices": _ebs_devices(config.get("EbsConfiguration")),
            }
            for config in group.request["InstanceTypeConfigs"]
        ],
    }
    return details | {name: group.request[name] for name in _COPIED_TO_FLEET if group.request.get(name)}

"""A cluster's shape in the words of EMR's API, there and back."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from verger.cluster.shape import FLEET_TYPES, SPOT_TIMEOUT_MINUTES, ClusterShape, Fleet, Role, ShapeError
from verger.prices import PriceTable

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient

_DEFAULT_EBS_GB = 32
_ROLES: Mapping[str, Role] = {fleet_type: role for role, fleet_type in FLEET_TYPES.items()}


def instance_fleets(shape: ClusterShape) -> list[dict[str, Any]]:
    """The fleets as RunJobFlow's `Instances.InstanceFleets` takes them."""
    return [_instance_fleet(fleet, shape.ebs_gb) for fleet in shape.fleets]


def _instance_fleet(fleet: Fleet, ebs_gb: int) -> dict[str, Any]:
    return {
        "Name": fleet.role,
        "InstanceFleetType": FLEET_TYPES[fleet.role],
        **({"TargetOnDemandCapacity": fleet.on_demand} if fleet.on_demand else {}),
        **({"TargetSpotCapacity": fleet.spot} if fleet.spot else {}),
        "InstanceTypeConfigs": [
            {
                "InstanceType": name,
                "WeightedCapacity": weight,
                # Only On-Demand machines are bought by priority: Spot goes by price and capacity.
                **({} if fleet.spot else {"Priority": float(priority)}),
                "EbsConfiguration": _ebs_configuration(ebs_gb),
            }
            for priority, (name, weight) in enumerate(fleet.types)
        ],
        "LaunchSpecifications": _launch_specifications(fleet),
    }


def _launch_specifications(fleet: Fleet) -> dict[str, Any]:
    specifications: dict[str, Any] = {}
    if fleet.on_demand:
        specifications["OnDemandSpecification"] = {"AllocationStrategy": "prioritized"}
    if fleet.spot:
        specifications["SpotSpecification"] = {
            "TimeoutDurationMinutes": SPOT_TIMEOUT_MINUTES,
            "TimeoutAction": "SWITCH_TO_ON_DEMAND",
            "AllocationStrategy": "price-capacity-optimized",
        }
        # What EMR buys On-Demand when Spot is not to be had.
        specifications["OnDemandSpecification"] = {"AllocationStrategy": "lowest-price"}
    return specifications


def _ebs_configuration(ebs_gb: int) -> dict[str, Any]:
    volume = {"VolumeType": "gp3", "SizeInGB": ebs_gb}
    return {
        "EbsBlockDeviceConfigs": [{"VolumeSpecification": volume, "VolumesPerInstance": 1}],
        "EbsOptimized": True,
    }


def read_shape(emr: "EMRClient", cluster_id: str, region: str, prices: PriceTable) -> ClusterShape:
    """The shape of an earlier cluster, ended or not; raises ShapeError when there is none such in this region.

    Raises UnknownInstanceTypeError when the price table lacks one of its types.
    """
    try:
        cluster = emr.describe_cluster(ClusterId=cluster_id)["Cluster"]
    except ClientError as error:
        raise ShapeError(
            f"like_cluster_id is {cluster_id!r}: EMR in {region} does not know that cluster "
            f"({error.response['Error']['Code']}); give the id of one of the last two months, or leave it empty"
        ) from error
    if cluster.get("InstanceCollectionType") == "INSTANCE_FLEET":
        described: list[Mapping[str, Any]] = list(emr.list_instance_fleets(ClusterId=cluster_id)["InstanceFleets"])
        fleets = [_described_fleet(fleet) for fleet in described]
        ebs_gb = _ebs_gb(kind for fleet in described for kind in fleet.get("InstanceTypeSpecifications", ()))
    else:
        groups: list[Mapping[str, Any]] = list(emr.list_instance_groups(ClusterId=cluster_id)["InstanceGroups"])
        fleets = _merged_groups(groups)
        ebs_gb = _ebs_gb(groups)
    return _shape_of(cluster_id, region, fleets, ebs_gb, prices)


def _described_fleet(fleet: Mapping[str, Any]) -> Fleet:
    kinds = fleet.get("InstanceTypeSpecifications", [])
    return Fleet(
        role=_ROLES[fleet["InstanceFleetType"]],
        types=tuple((kind["InstanceType"], int(kind.get("WeightedCapacity") or 1)) for kind in kinds),
        on_demand=int(fleet.get("TargetOnDemandCapacity") or 0),
        spot=int(fleet.get("TargetSpotCapacity") or 0),
    )


def _merged_groups(groups: Iterable[Mapping[str, Any]]) -> list[Fleet]:
    """Instance groups as fleets of one type; several task groups become one fleet."""
    merged: dict[Role, Fleet] = {}
    for group in groups:
        role = _ROLES[group["InstanceGroupType"]]
        nodes = int(group["RequestedInstanceCount"])
        is_spot = group.get("Market") == "SPOT"
        kind = (group["InstanceType"], 1)
        before = merged.get(role, Fleet(role, (), 0))
        types = before.types if kind in before.types else (*before.types, kind)
        on_demand, spot = before.on_demand + (0 if is_spot else nodes), before.spot + (nodes if is_spot else 0)
        merged[role] = Fleet(role, types, on_demand, spot)
    return list(merged.values())


def _ebs_gb(kinds: Iterable[Mapping[str, Any]]) -> int:
    """The storage of the machine that has most of it."""
    sizes = [
        sum(int(device["VolumeSpecification"]["SizeInGB"]) for device in kind.get("EbsBlockDevices") or ())
        for kind in kinds
    ]
    return max(sizes, default=0) or _DEFAULT_EBS_GB


def _shape_of(cluster_id: str, region: str, fleets: Iterable[Fleet], ebs_gb: int, prices: PriceTable) -> ClusterShape:
    by_role = {fleet.role: fleet for fleet in fleets}
    if "primary" not in by_role or "core" not in by_role:
        raise ShapeError(f"like_cluster_id is {cluster_id!r}: a cluster without core nodes cannot be a model for a run")
    for fleet in by_role.values():
        for name, _ in fleet.types:
            prices.instance_type(name, region)
    task = by_role.get("task")
    return ClusterShape(
        region=region,
        primary=by_role["primary"],
        core=by_role["core"],
        task=task if task and task.units else None,
        ebs_gb=ebs_gb,
        like=cluster_id,
    )

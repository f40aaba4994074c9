"""A shape becomes fleets that EMR takes, and an earlier cluster becomes a shape."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from mypy_boto3_emr import EMRClient
from verger.cluster.instance_fleets import instance_fleets, read_shape
from verger.cluster.shape import ClusterShape, ShapeError, ShapeWish, choose_shape
from verger.prices import PriceTable, UnknownInstanceTypeError

WISH = ShapeWish(
    region="eu-west-1",
    instance_type="m7g.xlarge",
    core_nodes=2,
    max_nodes=6,
    wanted_minutes=10,
    spot_share=0.5,
    ebs_gb=64,
)


@pytest.fixture
def shape(prices: PriceTable) -> ClusterShape:
    return choose_shape(WISH, prices, images=10**7, rate_per_vcpu=30)


def test_primary_and_core_are_on_demand_and_the_task_fleet_is_diversified_spot(shape: ClusterShape) -> None:
    primary, core, task = instance_fleets(shape)
    assert (primary["InstanceFleetType"], primary["TargetOnDemandCapacity"]) == ("MASTER", 1)
    assert (core["InstanceFleetType"], core["TargetOnDemandCapacity"]) == ("CORE", 3)
    assert "TargetSpotCapacity" not in primary | core
    assert core["LaunchSpecifications"] == {"OnDemandSpecification": {"AllocationStrategy": "prioritized"}}
    assert (task["InstanceFleetType"], task["TargetSpotCapacity"]) == ("TASK", 3)
    assert task["LaunchSpecifications"]["SpotSpecification"] == {
        "TimeoutDurationMinutes": 10,
        "TimeoutAction": "SWITCH_TO_ON_DEMAND",
        "AllocationStrategy": "price-capacity-optimized",
    }
    assert len(task["InstanceTypeConfigs"]) >= 4


def test_every_machine_has_the_wanted_storage(shape: ClusterShape) -> None:
    for fleet in instance_fleets(shape):
        for kind in fleet["InstanceTypeConfigs"]:
            (device,) = kind["EbsConfiguration"]["EbsBlockDeviceConfigs"]
            assert device["VolumeSpecification"] == {"VolumeType": "gp3", "SizeInGB": 64}


def test_the_sdk_takes_the_fleets(shape: ClusterShape) -> None:
    """Botocore checks every field's name and type against EMR's own model."""
    emr = boto3.client("emr", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106 -- no secret
    with Stubber(emr) as stub:
        stub.add_response("run_job_flow", {"JobFlowId": "j-1"})
        emr.run_job_flow(Name="n", Instances={"InstanceFleets": instance_fleets(shape)})  # type: ignore[typeddict-item] # plain dicts


def test_the_shape_of_an_earlier_cluster_of_fleets_comes_back(
    local_emr: EMRClient, create_cluster: Callable[..., str], shape: ClusterShape, prices: PriceTable
) -> None:
    cluster_id = create_cluster(
        Instances={"InstanceFleets": instance_fleets(shape), "KeepJobFlowAliveWhenNoSteps": True}
    )
    assert read_shape(local_emr, cluster_id, "eu-west-1", prices) == replace(shape, like=cluster_id)


def test_a_cluster_of_instance_groups_becomes_fleets(
    local_emr: EMRClient, create_cluster: Callable[..., str], prices: PriceTable
) -> None:
    def group(role: str, kind: str, nodes: int, market: str = "ON_DEMAND") -> dict[str, Any]:
        return {"InstanceRole": role, "InstanceType": kind, "InstanceCount": nodes, "Market": market}

    groups = [
        group("MASTER", "m6i.xlarge", 1),
        group("CORE", "m6i.2xlarge", 3),
        group("TASK", "m6i.2xlarge", 2, "SPOT"),
        group("TASK", "m7i.2xlarge", 1, "SPOT"),
    ]
    cluster_id = create_cluster(Instances={"InstanceGroups": groups, "KeepJobFlowAliveWhenNoSteps": True})
    found = read_shape(local_emr, cluster_id, "eu-west-1", prices)
    assert found.primary.types == (("m6i.xlarge", 1),)
    assert (found.core.types, found.core.on_demand) == ((("m6i.2xlarge", 1),), 3)
    assert found.task is not None
    assert (found.task.types, found.task.spot) == ((("m6i.2xlarge", 1), ("m7i.2xlarge", 1)), 3)
    assert (found.ebs_gb, found.like) == (32, cluster_id)


def test_a_cluster_that_does_not_exist_is_refused_with_its_id(local_emr: EMRClient, prices: PriceTable) -> None:
    with pytest.raises(ShapeError, match="like_cluster_id is 'j-NOTTHERE'"):
        read_shape(local_emr, "j-NOTTHERE", "eu-west-1", prices)


def test_a_cluster_of_one_node_is_no_model(
    local_emr: EMRClient, create_cluster: Callable[..., str], prices: PriceTable
) -> None:
    with pytest.raises(ShapeError, match="without core nodes"):
        read_shape(local_emr, create_cluster(), "eu-west-1", prices)


def test_a_cluster_of_types_without_a_price_is_refused(
    local_emr: EMRClient, create_cluster: Callable[..., str], prices: PriceTable
) -> None:
    instances = {"MasterInstanceType": "m6i.xlarge", "SlaveInstanceType": "p9.huge", "InstanceCount": 3}
    cluster_id = create_cluster(Instances={**instances, "KeepJobFlowAliveWhenNoSteps": True})
    with pytest.raises(UnknownInstanceTypeError, match=r"p9\.huge"):
        read_shape(local_emr, cluster_id, "eu-west-1", prices)

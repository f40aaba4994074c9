"""Instance groups, instance fleets and machines as a user of EMR's API sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.local_emr.conftest import Lab

FLEETS: list[dict[str, Any]] = [
    {
        "Name": "primary",
        "InstanceFleetType": "MASTER",
        "TargetOnDemandCapacity": 1,
        "InstanceTypeConfigs": [{"InstanceType": "m7g.xlarge"}],
    },
    {
        "InstanceFleetType": "CORE",
        "TargetOnDemandCapacity": 2,
        "InstanceTypeConfigs": [{"InstanceType": "c7g.xlarge", "WeightedCapacity": 1}],
    },
    {
        "InstanceFleetType": "TASK",
        "TargetSpotCapacity": 7,
        "InstanceTypeConfigs": [
            {
                "InstanceType": "c7g.2xlarge",
                "WeightedCapacity": 4,
                "BidPriceAsPercentageOfOnDemandPrice": 100.0,
                "EbsConfiguration": {
                    "EbsBlockDeviceConfigs": [
                        {"VolumeSpecification": {"VolumeType": "gp3", "SizeInGB": 32}, "VolumesPerInstance": 2}
                    ]
                },
            },
            {"InstanceType": "c6g.2xlarge", "WeightedCapacity": 4},
        ],
        "LaunchSpecifications": {
            "SpotSpecification": {
                "TimeoutDurationMinutes": 5,
                "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                "AllocationStrategy": "price-capacity-optimized",
            }
        },
    },
]


def test_fleets_are_filled_by_weight_and_told_as_they_were_asked_for(lab: Lab) -> None:
    cluster = lab.start(instances={"InstanceFleets": FLEETS})
    lab.reach(cluster, "WAITING")
    fleets = {
        fleet["InstanceFleetType"]: fleet for fleet in lab.emr.list_instance_fleets(ClusterId=cluster)["InstanceFleets"]
    }
    task = fleets["TASK"]
    assert (fleets["MASTER"]["Name"], fleets["MASTER"]["Status"]["State"]) == ("primary", "RUNNING")
    assert (task["TargetSpotCapacity"], task["ProvisionedSpotCapacity"]) == (7, 8)
    assert task["LaunchSpecifications"] == FLEETS[2]["LaunchSpecifications"]
    types = task["InstanceTypeSpecifications"]
    assert [kind["InstanceType"] for kind in types] == ["c7g.2xlarge", "c6g.2xlarge"]
    assert [device["VolumeSpecification"]["SizeInGB"] for device in types[0]["EbsBlockDevices"]] == [32, 32]
    spot = lab.emr.list_instances(ClusterId=cluster, InstanceFleetType="TASK")["Instances"]
    assert [(machine["Market"], machine["InstanceType"]) for machine in spot] == [("SPOT", "c7g.2xlarge")] * 2
    assert {machine["InstanceFleetId"] for machine in spot} == {task["Id"]}
    assert len(lab.emr.list_instances(ClusterId=cluster)["Instances"]) == 5
    lab.end(cluster)


def test_machines_have_their_own_times_from_which_hours_can_be_counted(lab: Lab) -> None:
    cluster = lab.start(instances={"InstanceFleets": FLEETS})
    lab.end(cluster)
    machines = lab.emr.list_instances(ClusterId=cluster, InstanceStates=["TERMINATED"])["Instances"]
    assert len(machines) == 5
    for machine in machines:
        times = machine["Status"]["Timeline"]
        assert times["CreationDateTime"] <= times["EndDateTime"]
    assert lab.emr.list_instances(ClusterId=cluster, InstanceStates=["RUNNING"])["Instances"] == []


def test_groups_have_the_machines_asked_for(lab: Lab) -> None:
    groups = [
        {"InstanceRole": "MASTER", "InstanceType": "m7g.xlarge", "InstanceCount": 1},
        {"InstanceRole": "CORE", "InstanceType": "c7g.xlarge", "InstanceCount": 2, "Market": "SPOT"},
    ]
    cluster = lab.start(instances={"InstanceGroups": groups})
    lab.reach(cluster, "WAITING")
    core = lab.emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"][1]
    assert (core["InstanceGroupType"], core["RunningInstanceCount"], core["Market"]) == ("CORE", 2, "SPOT")
    machines = lab.emr.list_instances(ClusterId=cluster, InstanceGroupTypes=["CORE"])["Instances"]
    assert {machine["InstanceGroupId"] for machine in machines} == {core["Id"]}
    lab.emr.modify_instance_groups(
        ClusterId=cluster, InstanceGroups=[{"InstanceGroupId": core["Id"], "InstanceCount": 1}]
    )
    assert lab.emr.list_instance_groups(ClusterId=cluster)["InstanceGroups"][1]["RunningInstanceCount"] == 1
    added = lab.emr.add_instance_groups(
        JobFlowId=cluster,
        InstanceGroups=[{"InstanceRole": "TASK", "InstanceType": "c7g.xlarge", "InstanceCount": 3}],
    )
    assert (
        len(lab.emr.list_instances(ClusterId=cluster, InstanceGroupId=added["InstanceGroupIds"][0])["Instances"]) == 3
    )
    with pytest.raises(ClientError, match="mutually exclusive"):
        lab.emr.list_instance_fleets(ClusterId=cluster)
    lab.end(cluster)


def test_a_task_fleet_can_be_added_once_and_resized(lab: Lab) -> None:
    cluster = lab.start(instances={"InstanceFleets": FLEETS[:2]})
    fleet = lab.emr.add_instance_fleet(ClusterId=cluster, InstanceFleet=FLEETS[2])["InstanceFleetId"]  # type: ignore[arg-type] # as above
    with pytest.raises(ClientError, match="already"):
        lab.emr.add_instance_fleet(ClusterId=cluster, InstanceFleet=FLEETS[2])  # type: ignore[arg-type] # as above
    lab.emr.modify_instance_fleet(ClusterId=cluster, InstanceFleet={"InstanceFleetId": fleet, "TargetSpotCapacity": 4})
    lab.reach(cluster, "WAITING")
    states = [
        machine["Status"]["State"]
        for machine in lab.emr.list_instances(ClusterId=cluster, InstanceFleetId=fleet)["Instances"]
    ]
    assert sorted(states) == ["RUNNING", "TERMINATED"]
    lab.end(cluster)

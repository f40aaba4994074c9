"""A cluster's subnets are there before it is asked for."""

from typing import Any

import boto3
import pytest
from verger.cluster.subnets import SubnetMissingError, check_subnets, subnet_ids


@pytest.fixture
def ec2(aws: str) -> Any:
    return boto3.client("ec2", endpoint_url=aws, region_name="eu-west-1")


def test_several_subnets_are_written_with_commas() -> None:
    assert subnet_ids(" subnet-1, subnet-2,") == ["subnet-1", "subnet-2"]
    assert subnet_ids("") == []


def test_a_subnet_that_is_there_tells_its_zone(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24", AvailabilityZone="eu-west-1b")["Subnet"]["SubnetId"]
    assert check_subnets(ec2, [subnet], "eu-west-1") == {subnet: "eu-west-1b"}


def test_a_subnet_that_does_not_exist_is_refused_with_its_id(ec2: Any) -> None:
    with pytest.raises(SubnetMissingError, match="subnet 'subnet-0123456789abcdef0' is not in eu-west-1"):
        check_subnets(ec2, ["subnet-0123456789abcdef0"], "eu-west-1")

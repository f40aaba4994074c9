"""Checks that the subnets of a cluster exist before one is asked for."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from botocore.exceptions import ClientError


class Subnets(Protocol):
    """What is used of EC2's client."""

    def describe_subnets(self, *, SubnetIds: Sequence[str]) -> Mapping[str, Any]:  # noqa: N803 -- AWS's name
        """DescribeSubnets."""


class SubnetMissingError(ValueError):
    """A subnet does not exist, or these credentials may not see it."""


def subnet_ids(setting: str) -> list[str]:
    """The ids of a setting: one, or several with commas between them."""
    return [part.strip() for part in setting.split(",") if part.strip()]


def check_subnets(ec2: Subnets, wanted: Sequence[str], region: str) -> dict[str, str]:
    """Return each subnet's availability zone; raises SubnetMissingError for the first that is not there."""
    zones: dict[str, str] = {}
    for subnet_id in wanted:
        try:
            (subnet,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
        except (ClientError, ValueError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else "not found"
            raise SubnetMissingError(
                f"subnet {subnet_id!r} is not in {region} ({code}): correct the parameter `subnet_id`, "
                "or leave it empty for the installation's own"
            ) from error
        zones[subnet_id] = subnet["AvailabilityZone"]
    return zones

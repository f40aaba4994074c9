"""How many vCPUs an account may run at once, held against what a cluster may need: a new account has 5 to 16.

https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html: the quotas count vCPUs of all running
instances of the standard families (A, C, D, H, I, M, R, T, Z) in a region, On-Demand and Spot apart.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from verger.cluster.shape import ClusterShape, Fleet
from verger.prices import PriceTable

log = logging.getLogger(__name__)

ON_DEMAND_QUOTA = "L-1216C47A"
SPOT_QUOTA = "L-34B43A08"


class ServiceQuotas(Protocol):
    """What is used of the client of Service Quotas."""

    def get_service_quota(self, *, ServiceCode: str, QuotaCode: str) -> Mapping[str, Any]:  # noqa: N803 -- AWS's names
        """GetServiceQuota."""


class QuotaError(ValueError):
    """A cluster may need more vCPUs than the account may run."""


@dataclass(frozen=True)
class VcpuNeed:
    """The vCPUs of a cluster, by how they are bought.

    Attributes:
        on_demand: those of the primary and core nodes, and of what else is never Spot.
        spot: those bought as Spot.
    """

    on_demand: int
    spot: int


def vcpus_needed(shape: ClusterShape, prices: PriceTable) -> VcpuNeed:
    """What the machines of a shape come to; each counted as its fleet's preferred type, or the largest stand-in."""
    on_demand = spot = 0
    for fleet in shape.fleets:
        unit = _vcpus_of_a_unit(fleet, prices, shape.region)
        on_demand += fleet.on_demand * unit
        spot += fleet.spot * unit
    return VcpuNeed(on_demand, spot)


def _vcpus_of_a_unit(fleet: Fleet, prices: PriceTable, region: str) -> int:
    """A unit is a machine of weight one; a heavier type has as many vCPUs a unit, or more."""
    return max(math.ceil(prices.instance_type(name, region).vcpus / weight) for name, weight in fleet.types)


def check_quotas(quotas: ServiceQuotas, need: VcpuNeed, region: str) -> None:
    """Raise QuotaError where the account may not run what a cluster may need.

    Other instances of the account count as well, which nobody can know before: the log says have and need. Where the
    quotas cannot be asked for, that is a line in the log and no failure.
    """
    for wanted, code, kind in (
        (need.on_demand, ON_DEMAND_QUOTA, "On-Demand"),
        (need.spot, SPOT_QUOTA, "Spot"),
    ):
        if not wanted:
            continue
        have = _quota(quotas, code)
        if have is None:
            continue
        log.info("vCPUs, %s: at most %d are needed, and %g may run in %s at once", kind, wanted, have, region)
        if wanted > have:
            raise QuotaError(
                f"the cluster may need {wanted} {kind} vCPUs in {region}, and this account may run {have:g} at once"
                f" (quota {code}): lower max_nodes, choose a smaller instance_type, or ask AWS for more:"
                f" aws service-quotas request-service-quota-increase --region {region} --service-code ec2"
                f" --quota-code {code} --desired-value {wanted}"
            )


def _quota(quotas: ServiceQuotas, code: str) -> float | None:
    """What the account has; None when nobody says."""
    try:
        return float(quotas.get_service_quota(ServiceCode="ec2", QuotaCode=code)["Quota"]["Value"])
    except (BotoCoreError, ClientError, KeyError) as error:
        log.warning(
            "the vCPU quota %s is not known (allow servicequotas:GetServiceQuota to have it checked): %s", code, error
        )
        return None

"""What the clusters have cost so far, at most; everything ends when the budget is used up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from verger.cost.run_cost import read_cluster_cost

from tools.acceptance.probes import OverBudgetError, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_emr import EMRClient
    from verger.cost.cluster_times import ClusterTimes
    from verger.cost.reckoning import ClusterCost, Estimate
    from verger.prices import PriceTable


@dataclass(frozen=True)
class Bought:
    """A cluster that was created, and what it costs an hour when every machine is On-Demand."""

    cluster_id: str
    usd_hour: float
    ebs_gb: int


class Budget:
    """A sum of US dollars that three clusters share."""

    def __init__(
        self,
        limit_usd: float,
        emr: EMRClient,
        region: str,
        prices: PriceTable,
        times: ClusterTimes,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Begin with nothing spent; `times` says how long a cluster goes on costing after it was told to end."""
        self.limit_usd = limit_usd
        self._emr, self._region, self._prices, self._times, self._now = emr, region, prices, times, now
        self._bought: list[Bought] = []
        self._over: dict[str, ClusterCost] = {}

    def buy(self, bought: Bought) -> None:
        """Count a cluster from now on."""
        self._bought.append(bought)

    def costs(self) -> list[ClusterCost]:
        """What each cluster costs until now, from its real machines."""
        return [self._cost(bought) for bought in self._bought]

    def _cost(self, bought: Bought) -> ClusterCost:
        if bought.cluster_id not in self._over:
            cost = read_cluster_cost(
                self._emr,
                bought.cluster_id,
                self._prices,
                region=self._region,
                ebs_gb=bought.ebs_gb,
                now=self._now(),
            )
            if cost.ended_at is None:
                return cost
            self._over[bought.cluster_id] = cost
        return self._over[bought.cluster_id]

    def spent_usd(self) -> float:
        """The dearer of what the machines cost, Spot at its price, and of what they would cost On-Demand."""
        return sum(max(self._on_demand(bought, cost), cost.usd) for bought, cost in self._with_costs())

    def _with_costs(self) -> list[tuple[Bought, ClusterCost]]:
        return [(bought, self._cost(bought)) for bought in self._bought]

    def _on_demand(self, bought: Bought, cost: ClusterCost) -> float:
        ended = datetime.fromisoformat(cost.ended_at) if cost.ended_at else self._now()
        return bought.usd_hour * max(0.0, (ended - datetime.fromisoformat(cost.created_at)).total_seconds()) / 3600

    def check(self) -> None:
        """Raise Stopped when what was spent, and what ending costs, reach the budget."""
        ending = sum(
            bought.usd_hour * self._times.ending_minutes / 60
            for bought, cost in self._with_costs()
            if cost.ended_at is None
        )
        if (spent := self.spent_usd()) + ending >= self.limit_usd:
            raise Stopped(f"the budget of {self.limit_usd:.2f} USD is used up: {spent:.2f} USD spent")

    def check_affordable(self, estimate: Estimate) -> None:
        """Raise OverBudgetError when a further cluster could cost more than what is left."""
        left = self.limit_usd - self.spent_usd()
        if estimate.usd_on_demand > left:
            raise OverBudgetError(
                f"{left:.2f} USD of the budget are left, and this cluster could cost {estimate.usd_on_demand:.2f}: "
                "it was not created"
            )


def check_plan(estimates: list[Estimate], limit_usd: float) -> float:
    """What the planned clusters could cost together; raises OverBudgetError when that is above the budget."""
    usd = sum(estimate.usd_on_demand for estimate in estimates)
    if usd > limit_usd:
        raise OverBudgetError(
            f"--budget is {limit_usd:.2f} USD, and what is planned could cost {usd:.2f}: raise it, "
            "choose a cheaper --instance-type, or ask for a part with --only; nothing was created"
        )
    return usd

"""What AWS itself says that our tag cost: Cost Explorer, where it can be reached and knows the tag."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from verger.cluster.tags import OWNER_TAG

log = logging.getLogger(__name__)

_METRIC = "UnblendedCost"


class CostExplorer(Protocol):
    """What is used of Cost Explorer's client."""

    def get_cost_and_usage(
        self,
        *,
        TimePeriod: Mapping[str, str],  # noqa: N803 -- AWS's names, here and below
        Granularity: str,  # noqa: N803
        Metrics: Sequence[str],  # noqa: N803
        Filter: Mapping[str, Any],  # noqa: N803
        GroupBy: Sequence[Mapping[str, str]],  # noqa: N803
    ) -> Mapping[str, Any]:
        """GetCostAndUsage; each request costs 0.01 USD."""


@dataclass(frozen=True)
class Bill:
    """What our tag cost in a period, by AWS service.

    Attributes:
        usd_by_service: dearest first.
        estimated: whether AWS still corrects it (for a day or two).
    """

    usd_by_service: Mapping[str, float]
    estimated: bool

    @property
    def usd(self) -> float:
        """All services together."""
        return sum(self.usd_by_service.values())


def read_bill(cost_explorer: CostExplorer, first_day: date, day_after: date) -> Bill | None:
    """Ask Cost Explorer what our tag cost from a day up to but without another; None where it does not tell."""
    try:
        answer = cost_explorer.get_cost_and_usage(
            TimePeriod={"Start": first_day.isoformat(), "End": day_after.isoformat()},
            Granularity="DAILY",
            Metrics=[_METRIC],
            Filter={"Tags": {"Key": OWNER_TAG[0], "Values": [OWNER_TAG[1]], "MatchOptions": ["EQUALS"]}},
            GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}],
        )
    except (BotoCoreError, ClientError) as error:
        log.warning("Cost Explorer does not answer, so the runs' own records count: %s", error)
        return None
    return parse_bill(answer)


def parse_bill(answer: Mapping[str, Any]) -> Bill | None:
    """Add the days up; None when nothing is there, as when the tag was never activated for cost allocation."""
    by_service: dict[str, float] = {}
    estimated = False
    for day in answer["ResultsByTime"]:
        estimated = estimated or bool(day.get("Estimated"))
        for group in day.get("Groups", ()):
            service = group["Keys"][0]
            by_service[service] = by_service.get(service, 0.0) + float(group["Metrics"][_METRIC]["Amount"])
    if not by_service:
        return None
    return Bill(dict(sorted(by_service.items(), key=lambda item: -item[1])), estimated)

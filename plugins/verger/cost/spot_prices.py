"""Real Spot prices, from EC2's price history; where that does not tell, the region's typical share counts."""

import logging
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from verger.cluster.shape import ClusterShape
from verger.prices import PriceTable

log = logging.getLogger(__name__)

#: What an estimate looks back at: a Spot price moves slowly, and its newest value alone may be a passing one.
LOOK_BACK = timedelta(hours=6)
#: Spot is sold at up to 90 % off (https://aws.amazon.com/ec2/spot/pricing/); a lower price is not one that a run pays.
_LEAST_SHARE = 0.05
_MOST_PAGES = 20


class SpotPriceHistory(Protocol):
    """What is used of EC2's client."""

    def describe_spot_price_history(
        self,
        *,
        InstanceTypes: Sequence[str],  # noqa: N803 -- AWS's names, here and below
        ProductDescriptions: Sequence[str],  # noqa: N803
        StartTime: datetime,  # noqa: N803
        EndTime: datetime,  # noqa: N803
        NextToken: str = ...,  # noqa: N803
    ) -> Mapping[str, Any]:
        """DescribeSpotPriceHistory: each change of a price in a zone, and the one that held at the start."""


def spot_pools(shape: ClusterShape) -> list[str]:
    """The instance types that a cluster of this shape may buy as Spot."""
    return list(dict.fromkeys(name for fleet in shape.fleets if fleet.spot for name, _ in fleet.types))


def with_spot_history(
    prices: PriceTable, ec2: SpotPriceHistory, shape: ClusterShape, since: datetime, until: datetime
) -> PriceTable:
    """The price table with the real prices of the shape's Spot pools between two times, as far as EC2 tells them.

    A type's price is its mean over the time in each zone, and of these the median: EMR chooses the zone. What fails is
    written to the log and changes nothing.
    """
    pools = spot_pools(shape)
    if not pools:
        return prices
    try:
        changes = list(_changes(ec2, pools, since, until))
    except (ClientError, BotoCoreError) as error:
        log.info("no real Spot prices (%s): the typical share of %s counts", _reason(error), prices.as_of)
        return prices
    known = {
        name: usd for name in pools if (usd := _usd_hour(name, shape.region, changes, prices, since, until)) is not None
    }
    log.info(
        "real Spot prices of %d of %d instance types, from EC2's price history since %s",
        len(known),
        len(pools),
        since.isoformat(timespec="minutes"),
    )
    return prices.with_real_spot(shape.region, known)


def _reason(error: ClientError | BotoCoreError) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else type(error).__name__


def _changes(
    ec2: SpotPriceHistory, pools: Sequence[str], since: datetime, until: datetime
) -> Iterator[Mapping[str, Any]]:
    token: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        page = ec2.describe_spot_price_history(
            InstanceTypes=pools, ProductDescriptions=["Linux/UNIX"], StartTime=since, EndTime=until, **token
        )
        yield from page.get("SpotPriceHistory", [])
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}
    log.info("EC2's price history is longer than %d pages: the rest does not count", _MOST_PAGES)


def _usd_hour(
    name: str, region: str, changes: Sequence[Mapping[str, Any]], prices: PriceTable, since: datetime, until: datetime
) -> float | None:
    """A type's price; None when the history has no believable one. EMR pays at most the On-Demand price."""
    on_demand = prices.on_demand_hour(name, region)
    zones: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for change in changes:
        if change.get("InstanceType") == name and (price := _price(change)) is not None:
            if price < on_demand * _LEAST_SHARE:
                log.info("%s as Spot for %s USD an hour is not believed", name, price)
                continue
            zones[change["AvailabilityZone"]].append((change["Timestamp"], min(price, on_demand)))
    means = [_mean(sorted(zone), since, until) for zone in zones.values()]
    return statistics.median(means) if means else None


def _price(change: Mapping[str, Any]) -> float | None:
    try:
        price = float(change["SpotPrice"])
    except (KeyError, TypeError, ValueError):
        return None
    # NaN is not above 0 either.
    return price if 0 < price < float("inf") and change.get("AvailabilityZone") and change.get("Timestamp") else None


def _mean(changes: Sequence[tuple[datetime, float]], since: datetime, until: datetime) -> float:
    """The mean of a price that changes at these times, each price counted for as long as it held."""
    spans = [
        (max(0.0, (min(end, until) - max(begin, since)).total_seconds()), price)
        for (begin, price), end in zip(changes, [*(begin for begin, _ in changes[1:]), until], strict=True)
    ]
    covered = sum(seconds for seconds, _ in spans)
    return sum(seconds * price for seconds, price in spans) / covered if covered else changes[-1][1]

"""What a cluster will cost, and what it did cost: US dollars without tax, from the price table."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from verger.cluster.shape import ROOT_VOLUME_GB, ClusterShape, Fleet
from verger.cost.cluster_times import ASSUMED_TIMES, ClusterTimes
from verger.prices import PriceTable, UnknownInstanceTypeError

#: The step pca: two JVM starts and at most a few minutes for a million rows (docs/benchmarks.md).
_PCA_MINUTES = 3.0
_PCA_MINUTES_PER_IMAGE = 5e-6
#: How Spot machines are priced: by EC2's price history, by the region's typical share; or there are none.
SpotSource = Literal["history", "typical share", "none"]
_SPOT_WORDS: Mapping[str, str] = {
    "history": "Spot at the real price of the last hours, by EC2's price history",
    "typical share": "Spot at the region's typical share of the On-Demand price",
}
#: Both EC2 and EMR bill by the second and at least a minute.
_LEAST_BILLED_HOURS = 1 / 60


#: An estimate may err: what it asks to be set is a quarter above it.
SPARE = 1.25


class TooLongError(ValueError):
    """A cluster is expected to run for longer than it may; the message says what to do."""


class OverBudgetError(ValueError):
    """A cluster could cost more than was allowed."""


@dataclass(frozen=True)
class NodeLine:
    """One line of an estimate: machines of a role and market, and what one of them costs an hour in all."""

    role: str
    instance_type: str
    market: str
    nodes: int
    usd_hour: float


@dataclass(frozen=True)
class Estimate:
    """What a cluster is expected to cost before it exists.

    Attributes:
        usd: with Spot machines at the price that `spot_prices` names.
        usd_on_demand: with every machine On-Demand, as EMR buys them when Spot is not to be had.
        usd_hour_on_demand: what the cluster costs an hour then.
        minutes: how long the machines are expected to run.
        featurize_minutes: of these, the step featurize.
        rate_per_vcpu: images a second and vCPU that it reckons with.
        nodes: the machines.
        prices_as_of: the date of the price table.
        spot_prices: how Spot machines are priced.
    """

    usd: float
    usd_on_demand: float
    usd_hour_on_demand: float
    minutes: float
    featurize_minutes: float
    rate_per_vcpu: float
    nodes: tuple[NodeLine, ...]
    prices_as_of: str
    spot_prices: SpotSource = "typical share"

    def to_dict(self) -> dict[str, Any]:
        """The estimate as `cost.json` holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Estimate":
        """The inverse of `to_dict`."""
        return cls(**{**content, "nodes": tuple(NodeLine(**line) for line in content["nodes"])})


def node_hour(name: str, region: str, market: str, ebs_gb: int, prices: PriceTable) -> float:
    """One machine's hour in all: EC2, EMR, its storage and its address."""
    machine = prices.spot_hour(name, region) if market == "SPOT" else prices.on_demand_hour(name, region)
    return machine + _beside_ec2(name, region, ebs_gb, prices)


def _beside_ec2(name: str, region: str, ebs_gb: int, prices: PriceTable) -> float:
    storage = (ebs_gb + ROOT_VOLUME_GB) * prices.ebs_gb_hour
    return prices.emr_hour(name, region) + storage + prices.public_ipv4_hour


def estimate_cost(
    shape: ClusterShape,
    prices: PriceTable,
    *,
    images_todo: int,
    images: int,
    rate_per_vcpu: float,
    held_minutes: int = 0,
    times: ClusterTimes = ASSUMED_TIMES,
) -> Estimate:
    """Estimate a run: `images_todo` are featurized, `images` go through pca, and the cluster is held afterwards.

    `times` is how long the cluster starts and ends.
    """
    vcpus = shape.worker_units * prices.instance_type(shape.core.first_type, shape.region).vcpus
    featurize = images_todo / (rate_per_vcpu * vcpus) / 60
    minutes = times.startup_minutes + featurize + pca_minutes(images) + held_minutes + times.ending_minutes
    nodes = tuple(line for fleet in shape.fleets for line in _node_lines(fleet, shape, prices))
    on_demand_hour = sum(
        node_hour(line.instance_type, shape.region, "ON_DEMAND", shape.ebs_gb, prices) * line.nodes for line in nodes
    )
    return Estimate(
        usd=sum(line.usd_hour * line.nodes for line in nodes) * minutes / 60,
        usd_on_demand=on_demand_hour * minutes / 60,
        usd_hour_on_demand=on_demand_hour,
        minutes=minutes,
        featurize_minutes=featurize,
        rate_per_vcpu=rate_per_vcpu,
        nodes=nodes,
        prices_as_of=prices.as_of.isoformat(),
        spot_prices=spot_source(shape, prices),
    )


def spot_source(shape: ClusterShape, prices: PriceTable) -> SpotSource:
    """How the Spot machines of a cluster of this shape are priced."""
    fleets = [fleet for fleet in shape.fleets if fleet.spot]
    if not fleets:
        return "none"
    real = any((name, shape.region) in prices.real_spot for fleet in fleets for name, _ in fleet.types)
    return "history" if real else "typical share"


def pca_minutes(images: int) -> float:
    """How long the step pca is expected to take."""
    return _PCA_MINUTES + images * _PCA_MINUTES_PER_IMAGE


def _node_lines(fleet: Fleet, shape: ClusterShape, prices: PriceTable) -> Iterable[NodeLine]:
    """The fleet as machines of its preferred type; a stand-in may cost a little more or less."""
    name, weight = fleet.types[0]
    beside = _beside_ec2(name, shape.region, shape.ebs_gb, prices)
    if fleet.on_demand:
        hour = prices.on_demand_hour(name, shape.region) + beside
        yield NodeLine(fleet.role, name, "ON_DEMAND", -(-fleet.on_demand // weight), hour)
    if fleet.spot:
        hour = _spot_unit_hour(fleet, shape.region, prices) * weight + beside
        yield NodeLine(fleet.role, name, "SPOT", -(-fleet.spot // weight), hour)


def _spot_unit_hour(fleet: Fleet, region: str, prices: PriceTable) -> float:
    """What a unit costs as Spot: the median of the pools whose real price is known, as EC2 draws from all of them."""
    real = [
        prices.real_spot[name, region] / weight for name, weight in fleet.types if (name, region) in prices.real_spot
    ]
    name, weight = fleet.types[0]
    return statistics.median(real) if real else prices.spot_hour(name, region) / weight


def check_hours(estimate: Estimate, max_hours: int, most_hours: int) -> None:
    """Raise TooLongError when the cluster is expected to run for longer than it may; says what to set.

    Args:
        estimate: of the cluster.
        max_hours: the setting `max_cluster_hours`.
        most_hours: the most that this setting takes.
    """
    if estimate.minutes <= max_hours * 60:
        return
    needed = math.ceil(estimate.minutes * SPARE / 60)
    hours = f"raise it to {needed}" if needed <= most_hours else f"{most_hours} would be the most"
    raise TooLongError(
        f"the cluster is expected to run {estimate.minutes:,.0f} min, and max_cluster_hours allows {max_hours} h: "
        f"{hours}, or raise max_nodes; no cluster was created"
    )


def check_budget(estimate: Estimate, budget_usd: float) -> None:
    """Raise OverBudgetError when the cluster could cost more than the budget."""
    if estimate.usd_on_demand > budget_usd:
        raise OverBudgetError(
            f"budget_usd is {budget_usd:.2f}, but this cluster could cost {estimate.usd_on_demand:.2f} "
            f"({estimate.usd:.2f} with the Spot machines at their expected price): raise the budget to "
            f"{math.ceil(estimate.usd_on_demand * SPARE)}, lower max_nodes, or choose a cheaper instance type; no "
            "cluster was created"
        )


def allowed_hours(estimate: Estimate, budget_usd: float, max_hours: float) -> float:
    """How long the cluster may live before the reaper ends it: until the budget is used up, or the limit is reached."""
    return min(max_hours, budget_usd / estimate.usd_hour_on_demand)


def describe_estimate(estimate: Estimate) -> list[str]:
    """The estimate in words, a line each."""
    lines = [
        f"{line.nodes} {line.role} node{'s' if line.nodes > 1 else ''}: {line.instance_type} "
        f"{'Spot' if line.market == 'SPOT' else 'On-Demand'}, {line.usd_hour:.4f} USD an hour each"
        for line in estimate.nodes
    ]
    return [
        *lines,
        (
            f"about {estimate.minutes:.0f} min, of which featurize {estimate.featurize_minutes:.0f} min "
            f"(at {estimate.rate_per_vcpu:.0f} images/s a vCPU)"
        ),
        (
            f"estimate: {estimate.usd:.2f} USD; {estimate.usd_on_demand:.2f} USD if every machine has to be On-Demand "
            f"(without tax; prices of {estimate.prices_as_of})"
        ),
        *([_SPOT_WORDS[estimate.spot_prices]] if estimate.spot_prices in _SPOT_WORDS else []),
    ]


@dataclass(frozen=True)
class MachineCost:
    """One machine that ran: its type and market, its hours, and what they cost; None for a type without a price."""

    instance_type: str
    market: str
    hours: float
    usd: float | None


@dataclass(frozen=True)
class ClusterCost:
    """What one cluster cost, from the real hours of its machines.

    Attributes:
        cluster_id: EMR's id.
        state: the state at the time of counting; a cluster that is still alive goes on costing.
        created_at: ISO time.
        ended_at: ISO time; None while it is alive.
        machines: each machine that ran.
        startup_minutes: until it took steps.
        busy_minutes: while at least one step ran.
        idle_minutes: while it was ready and none ran.
        usd: all machines that have a price; Spot ones at their type's price, since EMR does not tell what each cost.
        idle_usd: the share of `usd` that the idle minutes have.
        unpriced: types that the price table does not have.
    """

    cluster_id: str
    state: str
    created_at: str
    ended_at: str | None
    machines: tuple[MachineCost, ...]
    startup_minutes: float
    busy_minutes: float
    idle_minutes: float
    usd: float
    idle_usd: float
    unpriced: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The cost as `cost.json` holds it."""
        return asdict(self)


def cluster_cost(
    cluster: Mapping[str, Any],
    instances: Iterable[Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]],
    prices: PriceTable,
    *,
    region: str,
    ebs_gb: int,
    now: datetime,
) -> ClusterCost:
    """Reckon a cluster's cost from EMR's description, instances and steps; what still runs is billed until now."""
    timeline = cluster["Status"]["Timeline"]
    created: datetime = timeline["CreationDateTime"]
    ended: datetime | None = timeline.get("EndDateTime")
    until = ended or now
    ready: datetime = timeline.get("ReadyDateTime") or until
    machines = tuple(_machine_cost(instance, prices, region, ebs_gb, until) for instance in instances)
    usd = sum(machine.usd or 0.0 for machine in machines)
    busy = _covered_minutes(_step_spans(steps, until))
    idle = max(0.0, (until - ready).total_seconds() / 60 - busy)
    alive_minutes = (until - created).total_seconds() / 60
    return ClusterCost(
        cluster_id=cluster["Id"],
        state=cluster["Status"]["State"],
        created_at=created.isoformat(),
        ended_at=ended.isoformat() if ended else None,
        machines=machines,
        startup_minutes=(ready - created).total_seconds() / 60,
        busy_minutes=busy,
        idle_minutes=idle,
        usd=usd,
        idle_usd=usd * idle / alive_minutes if alive_minutes else 0.0,
        unpriced=tuple(sorted({machine.instance_type for machine in machines if machine.usd is None})),
    )


def _machine_cost(
    instance: Mapping[str, Any], prices: PriceTable, region: str, ebs_gb: int, until: datetime
) -> MachineCost:
    timeline = instance["Status"]["Timeline"]
    span = (timeline.get("EndDateTime") or until) - timeline["CreationDateTime"]
    hours = max(_LEAST_BILLED_HOURS, span.total_seconds() / 3600)
    name, market = instance["InstanceType"], instance.get("Market", "ON_DEMAND")
    try:
        usd = hours * node_hour(name, region, market, ebs_gb, prices)
    except UnknownInstanceTypeError:
        return MachineCost(name, market, hours, None)
    return MachineCost(name, market, hours, usd)


def _step_spans(steps: Iterable[Mapping[str, Any]], until: datetime) -> list[tuple[datetime, datetime]]:
    timelines = [step["Status"].get("Timeline", {}) for step in steps]
    return sorted(
        (line["StartDateTime"], line.get("EndDateTime") or until) for line in timelines if "StartDateTime" in line
    )


def _covered_minutes(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """The time that sorted spans cover, counted once where they overlap."""
    covered = 0.0
    reached: datetime | None = None
    for start, end in spans:
        begin = start if reached is None else max(start, reached)
        if end > begin:
            covered += (end - begin).total_seconds()
        reached = end if reached is None else max(reached, end)
    return covered / 60


def per_thousand_images(usd: float, images: int) -> float | None:
    """The cost of 1,000 of the images that a run computed; None when it computed none."""
    return 1000 * usd / images if images else None

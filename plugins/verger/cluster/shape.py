"""Which machines a run's cluster has: chosen from the work to do, or taken from an earlier cluster."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from verger.cluster.executor_memory import alike
from verger.prices import InstanceType, PriceTable
from verger.run.settings import Settings

Role = Literal["primary", "core", "task"]

#: EMR's names of the roles.
FLEET_TYPES: Mapping[Role, Literal["MASTER", "CORE", "TASK"]] = {"primary": "MASTER", "core": "CORE", "task": "TASK"}
#: The operating system, the packages and the logs of a node; EMR takes 15 to 100 GB.
ROOT_VOLUME_GB = 20
#: How long EMR looks for Spot machines before it takes On-Demand ones; EMR takes 5 to 1,440 minutes.
SPOT_TIMEOUT_MINUTES = 10
#: EMR takes up to 30 types a fleet with an allocation strategy (API_InstanceTypeConfig). Ten pools are plenty.
MOST_SPOT_TYPES = 10
MOST_ON_DEMAND_TYPES = 4
#: Of one fleet: a mistake in a setting buys no more at once, and what a run needs beyond it waits.
MOST_FLEET_VCPUS = 1_000
#: Stand-ins for the chosen type cost at most this much more, On-Demand (which is also where Spot prices end).
_DEAREST_STAND_IN = 1.35
_DEAREST_ON_DEMAND_STAND_IN = 1.15
#: A stand-in is at most this many times as large: the last machine that a fleet draws overshoots its target by that.
_LARGEST_STAND_IN = 4

# One core does the model 150 times a second, and decodes a JPEG in 0.24 ms and 0.098 ms a KB (measured on two cores:
# small pictures of 5 KB, photographs of 97 KB). End to end featurize keeps 85 % of that.
_MODEL_SECONDS = 1 / 150
_DECODE_SECONDS = 0.00024
_DECODE_SECONDS_PER_BYTE = 0.098e-6
_END_TO_END = 0.85
# Assumed, not measured: on x86_64 a vCPU is half a core; a Graviton vCPU is a whole one with narrower vectors. The
# first large run replaces this by what it measured.
_CORE_PER_VCPU = 0.6


class ShapeError(ValueError):
    """A cluster cannot have this shape; the message says why and what to do."""


@dataclass(frozen=True)
class Fleet:
    """The machines of one role.

    Attributes:
        role: primary, core or task.
        types: instance types with their weight in units, the preferred first; a unit is one node of the core's size.
        on_demand: units bought On-Demand.
        spot: units bought as Spot.
    """

    role: Role
    types: tuple[tuple[str, int], ...]
    on_demand: int
    spot: int = 0

    @property
    def units(self) -> int:
        """Both together."""
        return self.on_demand + self.spot

    @property
    def first_type(self) -> str:
        """The preferred instance type."""
        return self.types[0][0]


@dataclass(frozen=True)
class ClusterShape:
    """The machines of a cluster.

    Attributes:
        region: where they are priced and run.
        primary: exactly one machine.
        core: On-Demand as a rule: a lost core node costs the work that it holds.
        task: the rest, as Spot; None without.
        ebs_gb: gp3 storage of each machine beside its root volume.
        like: the cluster that the shape was taken from; empty when it was chosen.
    """

    region: str
    primary: Fleet
    core: Fleet
    task: Fleet | None
    ebs_gb: int
    like: str = ""

    @property
    def fleets(self) -> tuple[Fleet, ...]:
        """The fleets that there are."""
        return tuple(fleet for fleet in (self.primary, self.core, self.task) if fleet is not None)

    @property
    def worker_units(self) -> int:
        """Core and task nodes, in units of a core node."""
        return self.core.units + (self.task.units if self.task else 0)

    def to_dict(self) -> dict[str, Any]:
        """The shape as JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "ClusterShape":
        """The inverse of `to_dict`."""

        def fleet(spec: Mapping[str, Any]) -> Fleet:
            return Fleet(**{**spec, "types": tuple((name, weight) for name, weight in spec["types"])})

        return cls(
            region=content["region"],
            primary=fleet(content["primary"]),
            core=fleet(content["core"]),
            task=fleet(content["task"]) if content["task"] else None,
            ebs_gb=content["ebs_gb"],
            like=content["like"],
        )


@dataclass(frozen=True)
class ShapeWish:
    """What a person asks of a cluster's shape.

    Attributes:
        region: where it runs.
        instance_type: the preferred type of every node; it decides the architecture.
        core_nodes: at least this many nodes compute, On-Demand.
        max_nodes: at most this many compute, core and task together.
        wanted_minutes: in about this time featurize should be done.
        spot_share: the share of the computing nodes that may be Spot, 0 to 1.
        ebs_gb: gp3 storage a machine.
    """

    region: str
    instance_type: str
    core_nodes: int
    max_nodes: int
    wanted_minutes: int
    spot_share: float
    ebs_gb: int


def shape_wish(settings: Settings) -> ShapeWish:
    """What a run's settings ask of its cluster's shape."""
    return ShapeWish(
        region=settings.region,
        instance_type=settings.instance_type,
        core_nodes=settings.core_nodes,
        max_nodes=settings.max_nodes,
        wanted_minutes=settings.wanted_minutes,
        spot_share=settings.spot_share,
        ebs_gb=settings.ebs_gb,
    )


def assumed_rate(mean_bytes: float) -> float:
    """Images a second and vCPU to expect before any run has measured it, for pictures of this mean size in bytes."""
    seconds = _MODEL_SECONDS + _DECODE_SECONDS + mean_bytes * _DECODE_SECONDS_PER_BYTE
    return _END_TO_END * _CORE_PER_VCPU / seconds


def workers_needed(images: int, rate_per_vcpu: float, vcpus: int, wanted_minutes: float) -> int:
    """How many nodes of `vcpus` do this many images in that time; at least one."""
    return max(1, math.ceil(images / (rate_per_vcpu * vcpus * wanted_minutes * 60)))


def choose_shape(wish: ShapeWish, prices: PriceTable, *, images: int, rate_per_vcpu: float) -> ClusterShape:
    """Size a cluster for the work within the wished bounds.

    Raises UnknownInstanceTypeError or ShapeError.
    """
    kind = prices.instance_type(wish.instance_type, wish.region)
    if wish.max_nodes < wish.core_nodes:
        raise ShapeError(
            f"max_nodes is {wish.max_nodes} and core_nodes is {wish.core_nodes}: "
            "the nodes in all cannot be fewer than the core nodes; raise one or lower the other"
        )
    needed = workers_needed(images, rate_per_vcpu, kind.vcpus, wish.wanted_minutes)
    workers = min(max(needed, wish.core_nodes), wish.max_nodes)
    core = max(wish.core_nodes, workers - math.floor(workers * wish.spot_share))
    for role, nodes in (("core", core), ("task", workers - core)):
        _check_fleet(role, nodes, kind)
    stand_ins = on_demand_types(kind, wish.region, prices)
    task = Fleet("task", spot_types(kind, wish.region, prices), on_demand=0, spot=workers - core)
    return ClusterShape(
        region=wish.region,
        primary=Fleet("primary", stand_ins, on_demand=1),
        core=Fleet("core", stand_ins, on_demand=core),
        task=task if task.spot else None,
        ebs_gb=wish.ebs_gb,
    )


def _check_fleet(role: str, nodes: int, kind: InstanceType) -> None:
    """Raise ShapeError when a fleet would have more processors than one may."""
    if nodes * kind.vcpus > MOST_FLEET_VCPUS:
        raise ShapeError(
            f"the {role} fleet would have {nodes} {kind.name}, {nodes * kind.vcpus:,} vCPU, and one may have "
            f"{MOST_FLEET_VCPUS:,}, {MOST_FLEET_VCPUS // kind.vcpus} of these: lower max_nodes or core_nodes, raise "
            "wanted_minutes, or bring spot_share nearer to 0.5, which shares the nodes out between two fleets"
        )


def on_demand_types(kind: InstanceType, region: str, prices: PriceTable) -> tuple[tuple[str, int], ...]:
    """A type and its stand-ins of the same size, for when a zone has none of it left; weight one each."""
    same_size = [other for other in _stand_ins(kind, region, prices, _DEAREST_ON_DEMAND_STAND_IN) if other[1] == 1]
    return tuple(same_size[:MOST_ON_DEMAND_TYPES])


def spot_types(kind: InstanceType, region: str, prices: PriceTable) -> tuple[tuple[str, int], ...]:
    """The Spot pools to draw from: same architecture, as much YARN memory a vCPU or more, up to four times the size."""
    return tuple(_stand_ins(kind, region, prices, _DEAREST_STAND_IN)[:MOST_SPOT_TYPES])


def _stand_ins(kind: InstanceType, region: str, prices: PriceTable, dearest: float) -> list[tuple[str, int]]:
    """Types with their weight: the type itself, then by size and price a unit; all take executors of one size."""
    bound = kind.on_demand[region] * dearest
    found = []
    for other in prices.types.values():
        weight, rest = divmod(other.vcpus, kind.vcpus)
        if rest or not 1 <= weight <= _LARGEST_STAND_IN or other.architecture != kind.architecture:
            continue
        if other.memory_gib < kind.memory_gib * weight:
            continue
        if region not in other.on_demand or other.on_demand[region] / weight > bound:
            continue
        found.append((other.name != kind.name, weight, other.on_demand[region] / weight, other))
    ordered = sorted(found, key=lambda entry: (*entry[:3], entry[3].name))
    return [(other.name, weight) for other, weight in alike([(other, weight) for _, weight, _, other in ordered])]

"""What a node has and what it costs an hour: instance_types.toml, and prices.toml with its date and its sources."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

_TABLE = Path(__file__).parent / "prices.toml"
_INSTANCE_TYPES = Path(__file__).parent / "instance_types.toml"
_XLARGE_VCPUS = 4
#: The sizes that a node may have, as multiples of xlarge: EC2 asks that many times its price, and gives as much more.
SIZES: Mapping[str, int] = {"xlarge": 1, "2xlarge": 2, "4xlarge": 4, "8xlarge": 8}
_TOO_SMALL = frozenset({"nano", "micro", "small", "medium", "large"})
#: AWS bills storage by the second of a 30-day month (https://aws.amazon.com/ebs/pricing/, the examples).
_HOURS_PER_MONTH = 30 * 24


class UnknownInstanceTypeError(ValueError):
    """An instance type is refused: the table does not have it, or not in a region; the message says why."""


@dataclass(frozen=True)
class InstanceType:
    """A kind of machine.

    Attributes:
        name: EC2's name, `family.size`.
        architecture: `x86_64` or `arm64` (Graviton).
        vcpus: virtual CPUs; on x86_64 each is half a core.
        memory_gib: memory.
        yarn_memory_mib: what EMR gives YARN of it: for all containers of a node together, and for one at most.
        on_demand: US dollars an hour at EC2, by region.
        emr: what EMR adds, US dollars an hour, by region; empty where AWS's list for EMR was not read.
    """

    name: str
    architecture: str
    vcpus: int
    memory_gib: int
    yarn_memory_mib: int
    on_demand: Mapping[str, float]
    emr: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class PriceTable:
    """Prices in US dollars without tax.

    Attributes:
        as_of: the day that the table was last checked.
        sources: where its numbers come from, and how sure they are, by topic.
        types: the instance types, by name.
        spot_share: the typical Spot price as a share of the On-Demand price, by region.
        emr_share: what EMR adds, as a share of the On-Demand price, for types without a price of EMR's own.
        ebs_gb_hour: one GB of gp3 storage.
        public_ipv4_hour: one public address.
        real_spot: real Spot prices by type and region, where EC2 was asked (cost/spot_prices.py).
    """

    as_of: date
    sources: Mapping[str, str]
    types: Mapping[str, InstanceType]
    spot_share: Mapping[str, float]
    emr_share: float
    ebs_gb_hour: float
    public_ipv4_hour: float
    real_spot: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def instance_type(self, name: str, region: str) -> InstanceType:
        """The instance type of that name; raises UnknownInstanceTypeError when it has no price in the region."""
        found = self.types.get(name)
        if found is None:
            raise UnknownInstanceTypeError(
                f"instance type {name!r} {_why_refused(name, self.as_of)}: choose one of {self._choices(region)}"
            )
        if region not in found.on_demand:
            raise UnknownInstanceTypeError(
                f"instance type {name!r} has no price in {region}, only in {', '.join(sorted(found.on_demand))}: "
                f"choose one of {self._choices(region)}"
            )
        return found

    def _choices(self, region: str) -> str:
        families = dict.fromkeys(name.partition(".")[0] for name in self.names(region))
        return f"{', '.join(families)}, each as {', '.join(SIZES)} (docs/operations.md tells how to add a type)"

    def names(self, region: str | None = None) -> list[str]:
        """The names of all instance types, or of those that a region has."""
        return [name for name, kind in self.types.items() if region is None or region in kind.on_demand]

    def on_demand_hour(self, name: str, region: str) -> float:
        """An On-Demand machine's hour, without EMR, storage and address."""
        return self.instance_type(name, region).on_demand[region]

    def spot_hour(self, name: str, region: str) -> float:
        """A Spot machine's hour, without EMR, storage and address: the real price, or the region's typical share."""
        typical = self.on_demand_hour(name, region) * self.spot_share[region]
        return self.real_spot.get((name, region), typical)

    def emr_hour(self, name: str, region: str) -> float:
        """What EMR adds to a machine's hour, whichever way the machine is bought."""
        kind = self.instance_type(name, region)
        return kind.emr.get(region, kind.on_demand[region] * self.emr_share)

    def with_real_spot(self, region: str, usd_hour: Mapping[str, float]) -> "PriceTable":
        """The table with real Spot prices of a region, by type."""
        return replace(self, real_spot={**self.real_spot, **{(name, region): usd for name, usd in usd_hour.items()}})


def _why_refused(name: str, as_of: date) -> str:
    family, _, size = name.partition(".")
    if family[:1] == "t" and family[1:2].isdigit():
        return "is burstable: it slows down when its CPU credits are used up, and a run uses every vCPU all the time"
    if size.startswith("metal"):
        return "is a bare metal machine: it takes longer to start and is larger than a run needs"
    if size in _TOO_SMALL:
        return "is too small: an executor takes 4 vCPU, an xlarge"
    if size.removesuffix("xlarge").isdigit() and int(size.removesuffix("xlarge")) > max(SIZES.values()):
        return "is too large: more nodes of a smaller size do the same, and are more often to be had"
    return f"is not in the price table of {as_of}"


def load_prices(path: Path = _TABLE) -> PriceTable:
    """Read the tables; raises KeyError or TOMLDecodeError when somebody broke one."""
    table = tomllib.loads(path.read_text("utf-8"))
    rates = table["rates"]
    return PriceTable(
        as_of=table["as_of"],
        sources=table["sources"],
        types={kind.name: kind for kind in _instance_types(table)},
        spot_share=table["spot_share"],
        emr_share=rates["emr_share_of_on_demand"],
        ebs_gb_hour=rates["ebs_gp3_gb_month"] / _HOURS_PER_MONTH,
        public_ipv4_hour=rates["public_ipv4_hour"],
    )


def read_families() -> dict[str, Any]:
    """What instance_types.toml says of each family: `architecture`, `memory_gib`, and `yarn_memory_mib` by size."""
    return tomllib.loads(_INSTANCE_TYPES.read_text("utf-8"))


def _instance_types(table: Mapping[str, Any]) -> Iterable[InstanceType]:
    families = read_families()
    for family in table["on_demand"]:
        for size, yarn_memory_mib in families[family]["yarn_memory_mib"].items():
            yield InstanceType(
                name=f"{family}.{size}",
                architecture=families[family]["architecture"],
                vcpus=_XLARGE_VCPUS * SIZES[size],
                memory_gib=families[family]["memory_gib"] * SIZES[size],
                yarn_memory_mib=yarn_memory_mib,
                on_demand=_hours(table, "on_demand", family, size),
                emr=_hours(table, "emr", family, size),
            )


def _hours(table: Mapping[str, Any], what: str, family: str, size: str) -> dict[str, float]:
    """The price of a size by region: xlarge's times the size, unless it has one of its own."""
    of_family: Mapping[str, float] = table[what].get(family, {})
    of_type: Mapping[str, float] = table[f"{what}_of_type"].get(f"{family}.{size}", {})
    return {region: price * SIZES[size] for region, price in of_family.items()} | dict(of_type)

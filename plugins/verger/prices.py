"""What a node has and what it costs an hour: instance_types.toml, and prices.toml with its date and its sources."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

_TABLE = Path(__file__).parent / "prices.toml"
_INSTANCE_TYPES = Path(__file__).parent / "instance_types.toml"
_XLARGE_VCPUS = 4
#: AWS bills storage by the second of a 30-day month (https://aws.amazon.com/ebs/pricing/, the examples).
_HOURS_PER_MONTH = 30 * 24


class UnknownInstanceTypeError(ValueError):
    """The price table does not have an instance type, or not in a region."""


@dataclass(frozen=True)
class InstanceType:
    """A kind of machine.

    Attributes:
        name: EC2's name, `family.size`.
        architecture: `x86_64` or `arm64` (Graviton).
        vcpus: virtual CPUs; on x86_64 each is half a core.
        memory_gib: memory.
        yarn_memory_mib: what EMR gives YARN of it: for all containers of a node together, and for one at most.
        on_demand: US dollars an hour, by region.
    """

    name: str
    architecture: str
    vcpus: int
    memory_gib: int
    yarn_memory_mib: int
    on_demand: Mapping[str, float]


@dataclass(frozen=True)
class PriceTable:
    """Prices in US dollars without tax.

    Attributes:
        as_of: the day that the table was last checked.
        sources: where its numbers come from, and how sure they are, by topic.
        types: the instance types, by name.
        spot_share: the typical Spot price as a share of the On-Demand price, by region.
        emr_share: what EMR adds, as a share of the On-Demand price.
        ebs_gb_hour: one GB of gp3 storage.
        public_ipv4_hour: one public address.
    """

    as_of: date
    sources: Mapping[str, str]
    types: Mapping[str, InstanceType]
    spot_share: Mapping[str, float]
    emr_share: float
    ebs_gb_hour: float
    public_ipv4_hour: float

    def instance_type(self, name: str, region: str) -> InstanceType:
        """The instance type of that name; raises UnknownInstanceTypeError when it has no price in the region."""
        found = self.types.get(name)
        if found is None:
            raise UnknownInstanceTypeError(
                f"instance type {name!r} is not in the price table of {self.as_of}: "
                f"choose one of {', '.join(self.names(region))}, or add it to prices.toml"
            )
        if region not in found.on_demand:
            raise UnknownInstanceTypeError(
                f"instance type {name!r} has no price in {region}, only in {', '.join(sorted(found.on_demand))}: "
                f"choose one of {', '.join(self.names(region))}, or add its price to prices.toml"
            )
        return found

    def names(self, region: str | None = None) -> list[str]:
        """The names of all instance types, or of those that a region has."""
        return [name for name, kind in self.types.items() if region is None or region in kind.on_demand]

    def on_demand_hour(self, name: str, region: str) -> float:
        """An On-Demand machine's hour, without EMR, storage and address."""
        return self.instance_type(name, region).on_demand[region]

    def spot_hour(self, name: str, region: str) -> float:
        """A Spot machine's hour at the region's typical share, without EMR, storage and address."""
        return self.on_demand_hour(name, region) * self.spot_share[region]

    def emr_hour(self, name: str, region: str) -> float:
        """What EMR adds to a machine's hour, whichever way the machine is bought."""
        return self.on_demand_hour(name, region) * self.emr_share


def load_prices(path: Path = _TABLE) -> PriceTable:
    """Read the tables; raises KeyError or TOMLDecodeError when somebody broke one."""
    table = tomllib.loads(path.read_text("utf-8"))
    families = tomllib.loads(_INSTANCE_TYPES.read_text("utf-8"))
    kinds = [
        InstanceType(
            name=f"{family}.{size}",
            architecture=families[family]["architecture"],
            vcpus=_XLARGE_VCPUS * multiple,
            memory_gib=families[family]["memory_gib"] * multiple,
            yarn_memory_mib=families[family]["yarn_memory_mib"][size],
            on_demand={region: price * multiple for region, price in regions.items()},
        )
        for family, regions in table["on_demand"].items()
        for size, multiple in table["sizes"].items()
    ]
    rates = table["rates"]
    return PriceTable(
        as_of=table["as_of"],
        sources=table["sources"],
        types={kind.name: kind for kind in kinds},
        spot_share=table["spot_share"],
        emr_share=rates["emr_share_of_on_demand"],
        ebs_gb_hour=rates["ebs_gp3_gb_month"] / _HOURS_PER_MONTH,
        public_ipv4_hour=rates["public_ipv4_hour"],
    )

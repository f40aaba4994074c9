"""Makes the content of `plugins/verger/prices.toml`: prices by family where a size is a multiple of xlarge."""

from __future__ import annotations

import json
import textwrap
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from verger.prices import SIZES

from tools.price_list.offer_file import EC2, EMR, Offer, PriceListError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

#: AWS rounds the price of each size by itself: what differs by less than this is a multiple.
_ROUNDING = Decimal("0.001")
_WIDTH = 120
_HEAD = """\
# What AWS asks in the EU, in US dollars without tax, as far as an estimate needs it. tools/make_price_table.py makes
# this file anew from AWS's price list files; what those do not tell (spot_share, two of the rates) it takes over. What
# a machine has stands in instance_types.toml. A type or region that is not here is refused: no price is guessed.
"""
_BEFORE: Mapping[str, str] = {
    "spot_share": "# Typical Spot price as a share of the On-Demand price.",
    "on_demand": """\
# What an xlarge of each family costs an hour at EC2, On-Demand. Another size is that many times as dear, unless it has
# a line of its own in the table after.""",
    "emr": """\
# What EMR adds to an hour, in the same way, where AWS's price list for EMR was read;
# rates.emr_share_of_on_demand where not.""",
}
_TABLES = ("rates", "spot_share", "on_demand", "on_demand_of_type", "emr", "emr_of_type")


def make_table(
    present: Mapping[str, Any], offers: Sequence[Offer], families: Mapping[str, Collection[str]]
) -> dict[str, Any]:
    """The table that `offers` give, with what they do not tell taken over from the `present` one.

    Args:
        present: the table of now; its regions are those that the new one gets.
        offers: what the price list files told.
        families: the sizes of each family that Verger knows.

    Raises:
        PriceListError: a region has no price list of EC2.
    """
    regions = sorted(present["spot_share"])
    ec2 = [offer for offer in offers if offer.code == EC2]
    told = {region for offer in ec2 for _, region in offer.hours}
    if missing := [region for region in regions if region not in told]:
        raise PriceListError(
            f"no price list of {EC2} for {', '.join(missing)}: give one for each of the table's regions"
        )
    table = {key: dict(value) if isinstance(value, dict) else value for key, value in present.items()}
    table["as_of"] = max(offer.published for offer in offers)
    table["on_demand"], table["on_demand_of_type"] = _by_family(_hours(ec2), families, regions)
    table["sources"]["on_demand"] = f"Linux On-Demand prices of AWS's price list {EC2}: {_editions(ec2)}."
    if storage := [price for offer in ec2 for region, price in offer.storage.items() if region in regions]:
        table["rates"]["ebs_gp3_gb_month"] = float(max(storage))
        table["sources"]["ebs"] = (
            f"gp3 storage a GB and month, of the same files: {min(storage):f} to {max(storage):f} in these regions. "
            "The dearest is used for all; it is a hundredth of a run's cost."
        )
    if emr := [offer for offer in offers if offer.code == EMR]:
        table["emr"], table["emr_of_type"] = _by_family(_hours(emr), families, regions)
        table["sources"]["emr"] = (
            f"What EMR on EC2 adds, of AWS's price list {EMR}: {_editions(emr)}. Where it has no price of a type, "
            "rates.emr_share_of_on_demand of the On-Demand price is counted, which is what it is at most."
        )
    return table


def _hours(offers: Iterable[Offer]) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = {}
    for offer in offers:
        for key, price in offer.hours.items():
            if found.setdefault(key, price) != price:
                raise PriceListError(
                    f"two price lists have different prices of {' in '.join(key)}: give the newer alone"
                )
    return found


def _by_family(
    hours: Mapping[tuple[str, str], Decimal], families: Mapping[str, Collection[str]], regions: Iterable[str]
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """The price of xlarge by family and region, and the prices of types that are no multiple of it."""
    of_family: dict[str, dict[str, float]] = {}
    of_type: dict[str, dict[str, float]] = {}
    for region in regions:
        for family, sizes in families.items():
            found = {size: hours[key] for size in sizes if (key := (f"{family}.{size}", region)) in hours}
            if not found:
                continue
            line = of_family.setdefault(family, {})
            # A size that a region lacks must not get a price as a multiple of one that it has.
            base = found["xlarge"] if set(found) == set(sizes) else None
            if base is not None:
                line[region] = float(base)
            for size, price in found.items():
                if base is None or abs(price - base * SIZES[size]) > price * _ROUNDING:
                    of_type.setdefault(f"{family}.{size}", {})[region] = float(price)
    return {family: of_family[family] for family in families if family in of_family}, of_type


def _editions(offers: Iterable[Offer]) -> str:
    return "; ".join(
        sorted(
            f"{', '.join(sorted({region for _, region in offer.hours}))} version {offer.version} of {offer.published}"
            for offer in offers
        )
    )


def render(table: Mapping[str, Any]) -> str:
    """The table as prices.toml holds it: the same content gives the same bytes."""
    parts = [_HEAD, f"as_of = {table['as_of']}\n", _text_table("sources", table["sources"])]
    parts += [_number_table(name, table[name]) for name in _TABLES]
    return "\n".join(parts)


def _text_table(name: str, content: Mapping[str, str]) -> str:
    lines = [f"[{name}]"]
    for key, text in content.items():
        wrapped = textwrap.wrap(" ".join(text.split()), _WIDTH - 3, break_long_words=False, break_on_hyphens=False)
        inside = " \\\n".join(json.dumps(line, ensure_ascii=False)[1:-1] for line in wrapped)
        lines.append(f'{key} = """\\\n{inside}"""')
    return "\n".join(lines) + "\n"


def _number_table(name: str, content: Mapping[str, Any]) -> str:
    lines = [_BEFORE[name]] if name in _BEFORE else []
    lines.append(f"[{name}]")
    for key, value in content.items():
        quoted = f'"{key}"' if "." in key else key
        lines.append(f"{quoted} = {_inline(value) if isinstance(value, dict) else _number(value)}")
    return "\n".join(lines) + "\n"


def _inline(values: Mapping[str, float]) -> str:
    inside = ", ".join(f"{key} = {_number(value)}" for key, value in sorted(values.items()))
    return f"{{ {inside} }}" if inside else "{}"


def _number(value: float) -> str:
    text = f"{value:.6f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text

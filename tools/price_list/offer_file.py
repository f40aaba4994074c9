"""Reads AWS's price list files (CSV) row by row: EC2's of a region is several hundred MB.

Five rows tell what the file is, the sixth names the columns, then each row is one price of one product:
https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/reading-service-price-list-file-for-services.html
"""

from __future__ import annotations

import contextlib
import csv
import io
import urllib.request
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_Key = TypeVar("_Key")
EC2, EMR = "AmazonEC2", "ElasticMapReduce"
#: Where AWS publishes the current file of a service and region, without an account.
ADDRESS = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/{offer}/current/{region}/index.csv"
_TIMEOUT_SECONDS = 120
_ABOUT_ROWS = 5
#: No machine of 32 vCPU costs that an hour.
_TOO_DEAR = 1000
#: What a run pays, by the columns that tell it from what else the file lists: Windows, dedicated hosts, reserved
#: machines, local zones.
_WANTED: Mapping[str, Mapping[str, str]] = {
    EC2: {
        "TermType": "OnDemand",
        "Product Family": "Compute Instance",
        "Operating System": "Linux",
        "Tenancy": "Shared",
        "Pre Installed S/W": "NA",
        "CapacityStatus": "Used",
        "Location Type": "AWS Region",
        "Unit": "Hrs",
        "Currency": "USD",
    },
    EMR: {
        "TermType": "OnDemand",
        "Product Family": "Elastic Map Reduce Instance",
        "Software Type": "EMR",
        "Unit": "Hrs",
        "Currency": "USD",
    },
}
_STORAGE: Mapping[str, str] = {
    "TermType": "OnDemand",
    "Product Family": "Storage",
    "Volume API Name": "gp3",
    "Location Type": "AWS Region",
    "Unit": "GB-Mo",
    "Currency": "USD",
}
#: A newer column of EC2's: capacity blocks are priced otherwise.
_MARKET, _ON_DEMAND = "MarketOption", "OnDemand"
_TAKEN = ("Instance Type", "Region Code", "PricePerUnit")


class PriceListError(Exception):
    """A price list file cannot be used; the message says why and what to do."""


@dataclass
class Offer:
    """What one price list file tells.

    Attributes:
        code: AWS's name of the service, `AmazonEC2` or `ElasticMapReduce`.
        published: when AWS published it.
        version: AWS's name of this edition.
        hours: US dollars an hour, by instance type and region.
        storage: US dollars for a GB of gp3 and month, by region; empty in EMR's file.
    """

    code: str
    published: date
    version: str
    hours: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    storage: dict[str, Decimal] = field(default_factory=dict)


def read_offer(source: str, types: Collection[str]) -> Offer:
    """Read the file or https address `source`; only prices of `types` are kept.

    Raises:
        PriceListError: it cannot be read, is another file, or lacks what is needed.
    """
    with _opened(source) as lines:
        try:
            return parse_offer(lines, source, types)
        except (OSError, UnicodeDecodeError) as error:
            raise PriceListError(f"{source} could not be read to its end ({error}): fetch it again") from error


@contextlib.contextmanager
def _opened(source: str) -> Iterator[Iterable[str]]:
    try:
        stream = _stream(source)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise PriceListError(
            f"{source} cannot be opened ({reason}): give a file, or an address as {ADDRESS}"
        ) from error
    with stream, io.TextIOWrapper(stream, encoding="utf-8", newline="") as text:
        yield text


def _stream(source: str) -> IO[bytes]:
    if source.startswith("https://"):
        return cast("IO[bytes]", urllib.request.urlopen(source, timeout=_TIMEOUT_SECONDS))  # noqa: S310 - https
    return Path(source).open("rb")


def parse_offer(lines: Iterable[str], source: str, types: Collection[str]) -> Offer:
    """Read the rows of a price list file that is called `source` in errors; raises PriceListError."""
    rows = csv.reader(lines, strict=True)
    try:
        offer = _about(rows, source)
        columns = _columns(next(rows, []), offer, source)
        for row in rows:
            _take(row, columns, offer, types, f"{source}, line {rows.line_num}")
    except csv.Error as error:
        raise PriceListError(f"{source} is not a price list in CSV ({error}): fetch the file again") from error
    if not offer.hours:
        raise PriceListError(
            f"{source} has no price of a type that Verger knows: is it the file of a region in the EU?"
        )
    return offer


def _take(row: list[str], columns: Mapping[str, int], offer: Offer, types: Collection[str], where: str) -> None:
    if len(row) <= max(columns.values()):
        raise PriceListError(f"{where}: the row ends early: fetch the file again")
    value = {name: row[at] for name, at in columns.items()}
    if value.get(_MARKET, _ON_DEMAND) not in {"", _ON_DEMAND}:
        return
    if _is(value, _WANTED[offer.code]) and value["Instance Type"] in types:
        _keep(offer.hours, (value["Instance Type"], value["Region Code"]), value["PricePerUnit"], where)
    elif "Volume API Name" in value and _is(value, _STORAGE):
        _keep(offer.storage, value["Region Code"], value["PricePerUnit"], where)


def _about(rows: Iterator[list[str]], source: str) -> Offer:
    about = {row[0]: row[1] for row in (next(rows, []) for _ in range(_ABOUT_ROWS)) if len(row) > 1}
    code, published = about.get("OfferCode", ""), about.get("Publication Date", "")
    if code not in _WANTED:
        raise PriceListError(
            f"{source} is not a price list in CSV of {EC2} or {EMR} (OfferCode is {code!r}): "
            "take index.csv, not index.json, of one of these"
        )
    try:
        return Offer(code, date.fromisoformat(published[:10]), about.get("Version", ""))
    except ValueError:
        raise PriceListError(f"{source}: its Publication Date is {published!r}, not a date: fetch it again") from None


def _columns(header: list[str], offer: Offer, source: str) -> dict[str, int]:
    """Where the columns stand that are needed."""
    known = {name: at for at, name in reversed(list(enumerate(header)))}
    needed = [*_WANTED[offer.code], *_TAKEN]
    missing = [name for name in needed if name not in known]
    if missing:
        raise PriceListError(
            f"{source} has no column {', '.join(map(repr, missing))}: AWS has changed the format, "
            "and tools/price_list/offer_file.py must follow"
        )
    return {name: known[name] for name in dict.fromkeys([*needed, *_STORAGE, _MARKET]) if name in known}


def _is(value: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(value[name] == content for name, content in wanted.items())


def _keep(kept: dict[_Key, Decimal], key: _Key, text: str, where: str) -> None:
    try:
        price = Decimal(text)
    except InvalidOperation:
        price = Decimal(0)
    if not price.is_finite() or not 0 < price < _TOO_DEAR:
        raise PriceListError(f"{where}: the price of {key} is {text!r}, not a number between 0 and {_TOO_DEAR}")
    if kept.setdefault(key, price) != price:
        raise PriceListError(f"{where}: {key} has the price {text}, and {kept[key]} on an earlier line")

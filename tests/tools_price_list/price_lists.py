"""Small price list files in the form that AWS publishes: five rows about the file, the columns, then the prices."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

#: As AWS names and orders them (some that no test needs left out).
_EC2_HEADER = (
    "SKU,OfferTermCode,RateCode,TermType,PriceDescription,EffectiveDate,StartingRange,EndingRange,Unit,PricePerUnit,"
    "Currency,RelatedTo,LeaseContractLength,PurchaseOption,OfferingClass,Product Family,serviceCode,Location,"
    "Location Type,Instance Type,Current Generation,Instance Family,vCPU,Physical Processor,Memory,Storage,"
    "Volume Type,Tenancy,Operating System,License Model,usageType,operation,CapacityStatus,Volume API Name,"
    "Pre Installed S/W,Region Code,MarketOption,serviceName"
)
_EMR_HEADER = (
    "SKU,OfferTermCode,RateCode,TermType,PriceDescription,EffectiveDate,StartingRange,EndingRange,Unit,PricePerUnit,"
    "Currency,Product Family,serviceCode,Location,Location Type,Instance Type,Instance Family,usageType,operation,"
    "Region Code,Software Type,serviceName"
)
EC2_COLUMNS, EMR_COLUMNS = _EC2_HEADER.split(","), _EMR_HEADER.split(",")
SHARED_LINUX: Mapping[str, str] = {
    "TermType": "OnDemand",
    "Unit": "Hrs",
    "Currency": "USD",
    "Product Family": "Compute Instance",
    "Location Type": "AWS Region",
    "Tenancy": "Shared",
    "Operating System": "Linux",
    "License Model": "No License required",
    "operation": "RunInstances",
    "CapacityStatus": "Used",
    "Pre Installed S/W": "NA",
    "MarketOption": "OnDemand",
}
GP3: Mapping[str, str] = {
    "TermType": "OnDemand",
    "Unit": "GB-Mo",
    "Currency": "USD",
    "Product Family": "Storage",
    "Location Type": "AWS Region",
    "Volume API Name": "gp3",
}
FOR_EMR: Mapping[str, str] = {
    "TermType": "OnDemand",
    "Unit": "Hrs",
    "Currency": "USD",
    "Product Family": "Elastic Map Reduce Instance",
    "Location Type": "AWS Region",
    "Software Type": "EMR",
}


def machine(name: str, region: str, price: str, **other: str) -> dict[str, str]:
    """A row of EC2's file: a machine's hour; `other` columns take the place of what a run pays."""
    own = {"Instance Type": name, "Region Code": region, "PricePerUnit": price}
    return {**SHARED_LINUX, **own, **{key.replace("_", " "): value for key, value in other.items()}}


def emr(name: str, region: str, price: str, **other: str) -> dict[str, str]:
    """A row of EMR's file."""
    own = {"Instance Type": name, "Region Code": region, "PricePerUnit": price}
    return {**FOR_EMR, **own, **{key.replace("_", " "): value for key, value in other.items()}}


def write_list(
    path: Path, rows: Iterable[Mapping[str, str]], columns: Iterable[str] = EC2_COLUMNS, **about: Any
) -> str:
    """Write a price list file and return its path as text."""
    names = list(columns)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["FormatVersion", "v1.0"])
        writer.writerow(["Disclaimer", 'For "informational" purposes only, see https://aws.amazon.com'])
        writer.writerow(["Publication Date", about.get("published", "2026-11-20T22:53:08Z")])
        writer.writerow(["Version", about.get("version", "20261120225308")])
        writer.writerow(["OfferCode", about.get("code", "AmazonEC2")])
        writer.writerow(names)
        writer.writerows([row.get(name, "") for name in names] for row in rows)
    return str(path)

"""Where the same pictures could be computed, what that costs and how long it takes, from the price tables."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verger.cluster.shape import ShapeWish, assumed_rate, choose_shape
from verger.cost.cluster_times import ASSUMED_TIMES
from verger.cost.reckoning import estimate_cost, pca_minutes
from verger.here.choice import HereWork, estimate_here
from verger.run.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verger.prices import PriceTable

REGION = "eu-west-1"
INSTANCE_TYPE = "m6i.xlarge"
ONE_MACHINE_TYPE = "m6i.4xlarge"
HERE = f"here (Airflow's {INSTANCE_TYPE})"
FILE = Path(__file__).with_name("alternatives.toml")
LEAST_BILLED_MINUTES = 1.0


@dataclass(frozen=True)
class Offer:
    """One way to compute a number of pictures: dollars, minutes from the wish to the matrix, machines at work."""

    name: str
    usd: float
    minutes: float
    vcpus: int


def read_table() -> dict[str, Any]:
    """The prices and starts of the alternatives."""
    return tomllib.loads(FILE.read_text("utf-8"))


def offers(images: int, mean_bytes: float, prices: PriceTable, table: Mapping[str, Any]) -> list[Offer]:
    """Every way, for pictures of this mean size; all at the same images a second and vCPU."""
    rate = assumed_rate(mean_bytes)
    emr = emr_on_ec2(images, rate, prices)
    return [
        here(images, rate, prices),
        one_machine(images, rate, prices, table),
        one_machine(images, rate, prices, table, largest=True),
        emr,
        serverless(images, rate, table, emr.vcpus),
        batch(images, rate, prices, table, emr.vcpus),
        databricks(images, rate, prices, table, emr.vcpus),
    ]


def emr_on_ec2(images: int, rate: float, prices: PriceTable) -> Offer:
    """Verger as it is, with its default settings."""
    defaults = Settings(bucket="any-bucket", region=REGION)
    wish = ShapeWish(
        REGION,
        defaults.instance_type,
        defaults.core_nodes,
        defaults.max_nodes,
        defaults.wanted_minutes,
        defaults.spot_share,
        defaults.ebs_gb,
    )
    shape = choose_shape(wish, prices, images=images, rate_per_vcpu=rate)
    estimate = estimate_cost(shape, prices, images_todo=images, images=images, rate_per_vcpu=rate)
    vcpus = shape.worker_units * prices.instance_type(INSTANCE_TYPE, REGION).vcpus
    return Offer("EMR on EC2 (Verger)", estimate.usd, estimate.minutes, vcpus)


def here(images: int, rate: float, prices: PriceTable) -> Offer:
    """Airflow's own machine, which is there anyway; its hours are counted all the same."""
    vcpus = prices.instance_type(INSTANCE_TYPE, REGION).vcpus
    work = HereWork(vcpus, rate * vcpus, REGION, prices.on_demand_hour(INSTANCE_TYPE, REGION))
    estimate = estimate_here(work, images, images)
    return Offer(HERE, estimate.usd, estimate.ready, vcpus)


def one_machine(
    images: int, rate: float, prices: PriceTable, table: Mapping[str, Any], *, largest: bool = False
) -> Offer:
    """The same two steps under spark-submit on one EC2 machine, started for it and ended after it."""
    found = table["one_machine"]
    times = found["largest_times"] if largest else 1
    vcpus = prices.instance_type(ONE_MACHINE_TYPE, REGION).vcpus * times
    minutes = found["start_minutes"] + _featurize_minutes(images, rate, vcpus) + pca_minutes(images)
    hour = prices.on_demand_hour(ONE_MACHINE_TYPE, REGION) * times + prices.public_ipv4_hour
    return Offer(f"one {found['largest'] if largest else ONE_MACHINE_TYPE}", hour * minutes / 60, minutes, vcpus)


def serverless(images: int, rate: float, table: Mapping[str, Any], vcpus: int) -> Offer:
    """EMR Serverless with as many vCPU, and a driver of four."""
    found = table["emr_serverless"]
    hour = (found["vcpu_hour"] + found["gb_per_vcpu"] * found["gb_hour"]) * table["ireland"]["factor"]
    minutes = found["start_minutes"] + _featurize_minutes(images, rate, vcpus) + pca_minutes(images)
    return Offer("EMR Serverless", hour * (vcpus + 4) * minutes / 60, minutes, vcpus)


def batch(images: int, rate: float, prices: PriceTable, table: Mapping[str, Any], vcpus: int) -> Offer:
    """AWS Batch on Fargate for featurize, and one machine for pca."""
    found = table["batch_fargate"]
    hour = (found["vcpu_hour"] + found["gb_per_vcpu"] * found["gb_hour"]) * table["ireland"]["factor"]
    work = max(LEAST_BILLED_MINUTES, found["start_minutes"] + _featurize_minutes(images, rate, vcpus))
    start = table["one_machine"]["start_minutes"]
    after = start + pca_minutes(images)
    machine = prices.on_demand_hour(ONE_MACHINE_TYPE, REGION) * after / 60
    return Offer("AWS Batch on Fargate", hour * vcpus * work / 60 + machine, work + after, vcpus)


def databricks(images: int, rate: float, prices: PriceTable, table: Mapping[str, Any], vcpus: int) -> Offer:
    """A Databricks job cluster of the same machines, On-Demand, with its driver."""
    found = table["databricks"]
    kind = prices.instance_type(INSTANCE_TYPE, REGION)
    machine = prices.on_demand_hour(INSTANCE_TYPE, REGION) * (1 + found["dbu_share"]) + prices.public_ipv4_hour
    minutes = found["start_minutes"] + _featurize_minutes(images, rate, vcpus) + pca_minutes(images)
    return Offer("Databricks job cluster", machine * (vcpus // kind.vcpus + 1) * minutes / 60, minutes, vcpus)


def _featurize_minutes(images: int, rate: float, vcpus: int) -> float:
    return images / (rate * vcpus) / 60


def where_it_goes(images: int, mean_bytes: float, prices: PriceTable) -> dict[str, float]:
    """The shares of a run's minutes, and so of its dollars, on the cluster: start, featurize, pca, end."""
    rate = assumed_rate(mean_bytes)
    whole = emr_on_ec2(images, rate, prices)
    featurize = _featurize_minutes(images, rate, whole.vcpus)
    start, end = ASSUMED_TIMES.startup_minutes, ASSUMED_TIMES.ending_minutes
    parts = {"start": start, "featurize": featurize, "end": end}
    parts["pca"] = whole.minutes - sum(parts.values())
    return {name: minutes / whole.minutes for name, minutes in parts.items()}


def break_even(
    first: str, second: str, mean_bytes: float, prices: PriceTable, table: Mapping[str, Any], sizes: Sequence[int]
) -> dict[str, int | None]:
    """From which of these numbers of images on the second way is faster, and cheaper, up to the last; None: never."""

    def found(images: int) -> dict[str, Offer]:
        return {offer.name: offer for offer in offers(images, mean_bytes, prices, table)}

    compared = [(images, found(images)) for images in sizes]
    faster = [images for images, by_name in compared if by_name[second].minutes < by_name[first].minutes]
    cheaper = [images for images, by_name in compared if by_name[second].usd < by_name[first].usd]
    return {"faster": _from_here_on(faster, sizes), "cheaper": _from_here_on(cheaper, sizes)}


def _from_here_on(better: Sequence[int], sizes: Sequence[int]) -> int | None:
    """The first size from which on all are better."""
    start = None
    for size in reversed(sizes):
        if size not in better:
            break
        start = size
    return start

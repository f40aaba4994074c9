"""The throughput that a cluster is sized by: measured where a run was alike, else assumed and said so."""

from typing import Any

import pytest
from verger.cluster.shape import ShapeWish, assumed_rate, choose_shape
from verger.cluster.throughput import choose_rate, measure
from verger.prices import PriceTable

WISH = ShapeWish("eu-west-1", "m7g.xlarge", core_nodes=2, max_nodes=2, wanted_minutes=30, spot_share=0, ebs_gb=32)
PLAN = {"todo": 5000, "bytes_todo": 5000 * 20_000}


def featurize(images: int = 5000, rate: float = 400.0) -> dict[str, Any]:
    return {"run_id": "r1", "featurized": images, "images_per_second": rate, "engine": "litert"}


def measured(prices: PriceTable, **more: Any) -> dict[str, Any]:
    found = measure(featurize(), PLAN, choose_shape(WISH, prices, images=1, rate_per_vcpu=1), prices)
    assert found is not None
    return found.to_dict() | more


def test_a_large_run_measures_its_rate_a_vcpu(prices: PriceTable) -> None:
    found = measured(prices)
    assert found == {
        "run_id": "r1", "rate_per_vcpu": 50.0, "architecture": "arm64", "engine": "litert", "mean_bytes": 20_000.0,
    }  # fmt: skip


@pytest.mark.parametrize("metrics", [None, featurize(images=999), featurize(rate=0.0)])
def test_a_run_that_computed_little_or_nothing_measures_nothing(prices: PriceTable, metrics: Any) -> None:
    assert measure(metrics, PLAN, choose_shape(WISH, prices, images=1, rate_per_vcpu=1), prices) is None


def test_a_run_alike_is_sized_by_what_was_measured(prices: PriceTable) -> None:
    kind = prices.instance_type("c7g.2xlarge", "eu-west-1")
    assert choose_rate(measured(prices), PLAN, kind, "litert") == (50.0, "measured by run r1")


@pytest.mark.parametrize(
    ("change", "kind", "engine"),
    [
        ({"mean_bytes": 97_000.0}, "m7g.xlarge", "litert"),
        ({}, "m6i.xlarge", "litert"),
        ({}, "m7g.xlarge", "keras"),
    ],
)
def test_other_pictures_processors_or_engines_are_no_measure(
    prices: PriceTable, change: dict[str, Any], kind: str, engine: str
) -> None:
    rate, source = choose_rate(measured(prices, **change), PLAN, prices.instance_type(kind, "eu-west-1"), engine)
    assert rate == assumed_rate(20_000)
    assert source.startswith("assumed for pictures of 20 KB")


def test_nothing_measured_and_nothing_to_do_is_no_error(prices: PriceTable) -> None:
    rate, _ = choose_rate(None, {"todo": 0, "bytes_todo": 0}, prices.instance_type("m7g.xlarge", "eu-west-1"), "litert")
    assert rate > 0

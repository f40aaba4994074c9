"""The price table: complete, plausible and honest about where it comes from."""

import pytest
from verger.prices import PriceTable, UnknownInstanceTypeError, load_prices
from verger.run.eu_guard import EU_REGIONS


@pytest.fixture(scope="module")
def prices() -> PriceTable:
    return load_prices()


def test_every_group_of_numbers_names_its_source(prices: PriceTable) -> None:
    assert prices.as_of.year >= 2026
    assert {"on_demand", "emr", "spot", "ebs", "ipv4"} <= set(prices.sources)
    assert all(len(source) > 40 for source in prices.sources.values())


def test_every_eu_region_has_types_of_both_architectures_and_a_spot_share(prices: PriceTable) -> None:
    for region in EU_REGIONS:
        kinds = {prices.instance_type(name, region).architecture for name in prices.names(region)}
        assert kinds == {"x86_64", "arm64"}
        assert 0.3 < prices.spot_share[region] < 1


def test_no_region_outside_the_eu_has_a_price(prices: PriceTable) -> None:
    assert {region for kind in prices.types.values() for region in kind.on_demand} == set(EU_REGIONS)


def test_prices_are_plausible_and_grow_with_the_size(prices: PriceTable) -> None:
    for name, kind in prices.types.items():
        for region, price in kind.on_demand.items():
            assert 0.03 < price / kind.vcpus < 0.08, (name, region)
    assert prices.on_demand_hour("m6i.4xlarge", "eu-west-1") == pytest.approx(4 * 0.214)
    assert prices.instance_type("m7g.2xlarge", "eu-west-1").vcpus == 8
    assert prices.instance_type("c7g.2xlarge", "eu-west-1").memory_gib == 16


def test_spot_is_cheaper_and_emr_comes_on_top_of_either(prices: PriceTable) -> None:
    on_demand = prices.on_demand_hour("m7g.xlarge", "eu-west-1")
    assert prices.spot_hour("m7g.xlarge", "eu-west-1") == pytest.approx(0.6 * on_demand)
    assert prices.emr_hour("m7g.xlarge", "eu-west-1") == pytest.approx(0.25 * on_demand)
    assert prices.ebs_gb_hour * 720 == pytest.approx(0.0952)


def test_an_unknown_instance_type_is_refused_with_those_there_are(prices: PriceTable) -> None:
    with pytest.raises(UnknownInstanceTypeError, match=r"'p9\.huge' is not in the price table of 2026-.*m6i\.xlarge"):
        prices.instance_type("p9.huge", "eu-west-1")


def test_a_type_that_a_region_lacks_is_refused_with_the_regions_that_have_it(prices: PriceTable) -> None:
    with pytest.raises(UnknownInstanceTypeError, match="no price in eu-south-2, only in eu-central-1"):
        prices.instance_type("m6i.xlarge", "eu-south-2")

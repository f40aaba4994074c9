"""The price table: complete, plausible and honest about where it comes from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger import prices as prices_module
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
            assert 0.03 < price / kind.vcpus < 0.1, (name, region)
    assert prices.on_demand_hour("m6i.4xlarge", "eu-west-1") == pytest.approx(4 * 0.214)
    assert prices.instance_type("m7g.2xlarge", "eu-west-1").vcpus == 8
    assert prices.instance_type("c7g.2xlarge", "eu-west-1").memory_gib == 16


def test_spot_is_cheaper_and_emr_comes_on_top_of_either(prices: PriceTable) -> None:
    on_demand = prices.on_demand_hour("m7g.xlarge", "eu-west-1")
    assert prices.spot_hour("m7g.xlarge", "eu-west-1") == pytest.approx(0.6 * on_demand)
    assert prices.emr_hour("m7g.xlarge", "eu-west-1") == pytest.approx(0.25 * on_demand)
    assert prices.ebs_gb_hour * 720 == pytest.approx(0.0952)


def test_an_unknown_instance_type_is_refused_with_those_there_are(prices: PriceTable) -> None:
    with pytest.raises(UnknownInstanceTypeError, match=r"'p9\.huge' is not in the price table of 2026-.*m6i, .*xlarge"):
        prices.instance_type("p9.huge", "eu-west-1")


@pytest.mark.parametrize("region", EU_REGIONS)
def test_every_region_has_what_people_use_in_sizes_up_to_8xlarge(prices: PriceTable, region: str) -> None:
    names = set(prices.names(region))
    for family in ("m5", "c5", "r5", "m6g", "r6g", "r7i", "r7g"):
        assert {f"{family}.{size}" for size in ("xlarge", "2xlarge", "4xlarge")} <= names
    assert "m5.8xlarge" in names
    assert "c5.8xlarge" not in names  # AWS makes a c5.9xlarge


def test_the_families_of_ireland_are_all_that_were_asked_for(prices: PriceTable) -> None:
    families = {name.partition(".")[0] for name in prices.names("eu-west-1")}
    assert families == {
        "m5", "m5a", "m6i", "m6a", "m6g", "m7i", "m7i-flex", "m7a", "m7g", "m8g",
        "c5", "c5a", "c6i", "c6a", "c6g", "c7i", "c7a", "c7g", "c8g",
        "r5", "r5a", "r6i", "r6a", "r6g", "r7i", "r7a", "r7g", "r8g",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("t3.xlarge", "burstable"),
        ("t3a.2xlarge", "burstable"),
        ("t2.micro", "burstable"),
        ("t4g.xlarge", "burstable"),
        ("m5.large", "too small"),
        ("c7g.medium", "too small"),
        ("m5.metal", "bare metal"),
        ("c7i.metal-24xl", "bare metal"),
        ("c5.9xlarge", "too large"),
        ("m6i.32xlarge", "too large"),
        ("trn1.2xlarge", "is not in the price table"),
        ("m6i", "is not in the price table"),
        ("", "is not in the price table"),
    ],
)
def test_a_type_that_suits_no_run_is_refused_with_the_reason_in_a_sentence(
    prices: PriceTable, name: str, reason: str
) -> None:
    with pytest.raises(UnknownInstanceTypeError, match=reason) as refused:
        prices.instance_type(name, "eu-west-1")
    assert len(str(refused.value)) < 420


@given(st.text())
def test_any_other_name_is_refused_too(name: str) -> None:
    table = load_prices()
    with pytest.raises(UnknownInstanceTypeError, match="choose one of m5"):
        table.instance_type(f"{name}?", "eu-west-1")


def test_a_size_with_a_price_of_its_own_is_not_a_multiple_of_xlarge(tmp_path: Path) -> None:
    text = (Path(prices_module.__file__).parent / "prices.toml").read_text("utf-8")
    text = text.replace("\n[on_demand_of_type]", '\n[on_demand_of_type]\n"m5.8xlarge" = { eu-west-1 = 1.6 }')
    text = text.replace("\n[emr]", "\n[emr]\nm5 = { eu-west-1 = 0.048 }")
    text = text.replace("\n[emr_of_type]", '\n[emr_of_type]\n"m5.8xlarge" = { eu-west-1 = 0.27 }')
    (tmp_path / "prices.toml").write_text(text, "utf-8")
    table = load_prices(tmp_path / "prices.toml")
    assert table.on_demand_hour("m5.8xlarge", "eu-west-1") == 1.6
    assert table.on_demand_hour("m5.8xlarge", "eu-west-3") == pytest.approx(8 * 0.224)
    assert table.emr_hour("m5.4xlarge", "eu-west-1") == pytest.approx(4 * 0.048)
    assert table.emr_hour("m5.8xlarge", "eu-west-1") == 0.27
    assert table.emr_hour("m5.8xlarge", "eu-west-3") == pytest.approx(0.25 * 8 * 0.224)


def test_a_real_spot_price_takes_the_place_of_the_typical_share_in_its_region_alone(prices: PriceTable) -> None:
    table = prices.with_real_spot("eu-west-1", {"m6i.xlarge": 0.07})
    assert table.spot_hour("m6i.xlarge", "eu-west-1") == 0.07
    assert table.spot_hour("m6i.xlarge", "eu-west-3") == prices.spot_hour("m6i.xlarge", "eu-west-3")
    assert table.spot_hour("m7i.xlarge", "eu-west-1") == prices.spot_hour("m7i.xlarge", "eu-west-1")


def test_a_type_that_a_region_lacks_is_refused_with_the_regions_that_have_it(prices: PriceTable) -> None:
    with pytest.raises(UnknownInstanceTypeError, match="no price in eu-south-2, only in eu-central-1"):
        prices.instance_type("m6i.xlarge", "eu-south-2")

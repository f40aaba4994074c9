"""A cluster is as large as its work needs, within bounds, and never in machines that its executors do not fit."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.cluster.shape import (
    ClusterShape,
    ShapeError,
    ShapeWish,
    assumed_rate,
    choose_shape,
    spot_types,
    workers_needed,
)
from verger.prices import PriceTable, UnknownInstanceTypeError, load_prices
from verger.run.eu_guard import EU_REGIONS

PRICES = load_prices()
WISH = ShapeWish(
    region="eu-west-1",
    instance_type="m7g.xlarge",
    core_nodes=1,
    max_nodes=20,
    wanted_minutes=30,
    spot_share=0.5,
    ebs_gb=32,
)
places = st.sampled_from([(name, region) for region in EU_REGIONS for name in PRICES.names(region)])


@given(st.integers(0, 10**8), st.floats(1, 500), st.sampled_from([4, 8, 16]), st.integers(1, 600))
def test_the_workers_do_the_work_in_the_wanted_time_and_one_fewer_would_not(
    images: int, rate: float, vcpus: int, minutes: int
) -> None:
    workers = workers_needed(images, rate, vcpus, minutes)
    a_worker_does = rate * vcpus * minutes * 60
    assert workers >= 1
    assert workers * a_worker_does >= images * (1 - 1e-9)
    assert workers == 1 or (workers - 1) * a_worker_does < images


@given(places, st.integers(0, 10**7), st.integers(1, 10), st.integers(0, 50), st.floats(0, 1))
def test_whatever_is_wished_the_bounds_hold(
    place: tuple[str, str], images: int, core: int, more: int, share: float
) -> None:
    name, region = place
    wish = replace(WISH, region=region, instance_type=name, core_nodes=core, max_nodes=core + more, spot_share=share)
    shape = choose_shape(wish, PRICES, images=images, rate_per_vcpu=30)
    assert core <= shape.worker_units <= core + more
    assert shape.core.on_demand >= core
    assert (shape.primary.on_demand, shape.primary.spot, shape.core.spot) == (1, 0, 0)
    assert shape.task is None or (shape.task.spot <= shape.worker_units * share and shape.task.on_demand == 0)
    assert shape.core.first_type == shape.primary.first_type == name
    assert ClusterShape.from_dict(json.loads(json.dumps(shape.to_dict()))) == shape


@given(places)
def test_every_stand_in_has_the_architecture_and_holds_the_executors(place: tuple[str, str]) -> None:
    name, region = place
    kind = PRICES.instance_type(name, region)
    types = spot_types(kind, region, PRICES)
    assert types[0] == (name, 1)
    assert len({other for other, _ in types}) == len(types) <= 30
    for other, weight in types:
        stand_in = PRICES.instance_type(other, region)
        assert stand_in.architecture == kind.architecture
        assert stand_in.vcpus == kind.vcpus * weight
        assert stand_in.memory_gib >= kind.memory_gib * weight


def test_spot_draws_from_several_pools(prices: PriceTable) -> None:
    for name in ("m6i.xlarge", "m5.xlarge", "m7g.xlarge", "c7g.xlarge", "r6i.xlarge", "m6i.8xlarge"):
        assert len(spot_types(prices.instance_type(name, "eu-west-1"), "eu-west-1", prices)) >= 4


def test_little_work_takes_the_fewest_nodes_and_no_spot(prices: PriceTable) -> None:
    shape = choose_shape(WISH, prices, images=500, rate_per_vcpu=30)
    assert (shape.core.on_demand, shape.task) == (1, None)


def test_much_work_takes_more_nodes_half_of_them_spot(prices: PriceTable) -> None:
    shape = choose_shape(WISH, prices, images=1_000_000, rate_per_vcpu=50)
    assert shape.worker_units == 3  # 1,000,000 / (50 images/s x 4 vCPU x 1,800 s) = 2.8
    assert shape.task is not None
    assert (shape.core.on_demand, shape.task.spot) == (2, 1)


def test_equal_bounds_give_a_cluster_of_exactly_that_size(prices: PriceTable) -> None:
    shape = choose_shape(replace(WISH, core_nodes=4, max_nodes=4), prices, images=10, rate_per_vcpu=30)
    assert (shape.core.on_demand, shape.task) == (4, None)


def test_bounds_that_contradict_each_other_are_refused(prices: PriceTable) -> None:
    with pytest.raises(ShapeError, match="max_nodes is 2 and core_nodes is 3"):
        choose_shape(replace(WISH, core_nodes=3, max_nodes=2), prices, images=10, rate_per_vcpu=30)


def test_an_unknown_instance_type_is_refused(prices: PriceTable) -> None:
    with pytest.raises(UnknownInstanceTypeError, match=r"x1\.giant"):
        choose_shape(replace(WISH, instance_type="x1.giant"), prices, images=10, rate_per_vcpu=30)


def test_photographs_are_expected_to_take_longer_than_small_pictures() -> None:
    assert 60 < assumed_rate(5_000) < 75
    assert 28 < assumed_rate(97_000) < 35


def test_a_fleet_of_more_processors_than_one_may_have_is_refused_with_the_numbers(prices: PriceTable) -> None:
    wish = replace(WISH, instance_type="m6i.xlarge", core_nodes=1, max_nodes=500, spot_share=0.5)
    shape = choose_shape(wish, prices, images=10**9, rate_per_vcpu=30)
    assert [fleet.units for fleet in shape.fleets] == [1, 250, 250]
    with pytest.raises(ShapeError, match=r"the core fleet would have 500 m6i\.xlarge, 2,000 vCPU.*1,000, 250 of these"):
        choose_shape(replace(wish, spot_share=0), prices, images=10**9, rate_per_vcpu=30)
    with pytest.raises(ShapeError, match=r"the task fleet would have 499 m6i\.xlarge"):
        choose_shape(replace(wish, spot_share=1), prices, images=10**9, rate_per_vcpu=30)

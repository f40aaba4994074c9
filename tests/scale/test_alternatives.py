"""What the same work costs elsewhere: the same arithmetic for all, from prices that say where they come from."""

import itertools
import math
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.prices import PriceTable, load_prices

from tools.scale.alternatives import break_even, offers, one_machine, read_table, where_it_goes

TABLE = read_table()
PRICES = load_prices()
SIZES = [10**exponent for exponent in range(3, 9)]


@pytest.mark.parametrize("part", [name for name, content in TABLE.items() if isinstance(content, dict)])
def test_every_price_says_where_it_comes_from(part: str) -> None:
    assert len(TABLE[part]["source"]) > 40


def test_prices_that_are_compared_are_of_about_the_same_day(prices: PriceTable) -> None:
    assert isinstance(TABLE["as_of"], date)
    assert abs(TABLE["as_of"] - prices.as_of) < timedelta(days=366)


@given(st.integers(0, 10**8), st.floats(1e3, 1e7))
def test_every_way_takes_some_time_and_some_money(images: int, mean_bytes: float) -> None:
    found = offers(images, mean_bytes, PRICES, TABLE)
    assert len({offer.name for offer in found}) == len(found) == 7
    assert all(offer.usd > 0 and offer.minutes > 0 and offer.vcpus > 0 for offer in found)


def test_more_pictures_never_cost_less() -> None:
    for fewer, more in itertools.pairwise(SIZES):
        before, after = (offers(images, 1e5, PRICES, TABLE) for images in (fewer, more))
        assert all(one.usd <= other.usd for one, other in zip(before, after, strict=True))


def test_one_machine_s_price_is_its_hours_times_its_hour() -> None:
    found = one_machine(1_000_000, 10.0, PRICES, TABLE)
    minutes = 4 + 1_000_000 / (10 * 16) / 60 + 3 + 5
    assert math.isclose(found.minutes, minutes)
    hour = PRICES.on_demand_hour("m6i.4xlarge", "eu-west-1") + PRICES.public_ipv4_hour
    assert math.isclose(found.usd, hour * minutes / 60)


def test_the_shares_of_a_run_are_all_of_it() -> None:
    assert math.isclose(sum(where_it_goes(10**6, 1e5, PRICES).values()), 1.0)
    assert where_it_goes(100, 1e5, PRICES)["start"] > 0.5, "a small run is waiting for machines"


def even(first: str, second: str, **changed: Any) -> dict[str, int | None]:
    return break_even(first, second, 1e5, PRICES, {**TABLE, **changed}, SIZES)


def test_from_where_on_a_way_is_better_and_stays_so() -> None:
    cluster, machine = "EMR on EC2 (Verger)", "one m6i.4xlarge"
    found = even(machine, cluster)
    assert found["faster"] in SIZES
    assert found["cheaper"] is None, "EMR's share and a primary node come on top of the same machines"
    assert even(cluster, cluster) == {"faster": None, "cheaper": None}
    slow = {**TABLE["one_machine"], "start_minutes": 10_000_000.0}
    assert even(machine, cluster, one_machine=slow) == {"faster": SIZES[0], "cheaper": SIZES[0]}

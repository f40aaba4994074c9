"""Estimates reckon with what Spot machines cost now, where EC2 tells it, and with the typical share where not."""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from verger.cluster.shape import ClusterShape, Fleet
from verger.cost.reckoning import check_budget, describe_estimate, estimate_cost, spot_source
from verger.cost.spot_prices import spot_pools, with_spot_history
from verger.prices import load_prices

PRICES = load_prices()
UNTIL = datetime(2026, 11, 27, 12, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=6)
REGION = "eu-west-1"
POOLS = (("m6i.xlarge", 1), ("m7i.xlarge", 1), ("m6i.2xlarge", 2))


def shape_with(spot: int) -> ClusterShape:
    primary = Fleet("primary", (("m6i.xlarge", 1),), on_demand=1)
    core = Fleet("core", (("m6i.xlarge", 1),), on_demand=2)
    task = Fleet("task", POOLS, on_demand=0, spot=spot) if spot else None
    return ClusterShape(REGION, primary, core, task, ebs_gb=32)


SHAPE = shape_with(4)


def change(name: str, price: Any, zone: str = "eu-west-1a", hours_ago: float = 8) -> dict[str, Any]:
    return {
        "InstanceType": name,
        "SpotPrice": price,
        "AvailabilityZone": zone,
        "Timestamp": UNTIL - timedelta(hours=hours_ago),
        "ProductDescription": "Linux/UNIX",
    }


class Answers:
    """An EC2 that answers with these pages."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.asked: list[Mapping[str, Any]] = []

    def describe_spot_price_history(self, **request: Any) -> Mapping[str, Any]:
        self.asked.append(request)
        number = int(request.get("NextToken", "0"))
        following = str(number + 1) if number + 1 < len(self.pages) else ""
        return {"SpotPriceHistory": self.pages[number], "NextToken": following}


def real(*pages: list[dict[str, Any]]) -> Mapping[tuple[str, str], float]:
    return with_spot_history(PRICES, Answers(*pages), SHAPE, SINCE, UNTIL).real_spot


def test_each_pool_s_price_is_asked_for_linux_in_the_last_hours() -> None:
    ec2 = Answers([change("m6i.xlarge", "0.09")])
    with_spot_history(PRICES, ec2, SHAPE, SINCE, UNTIL)
    (asked,) = ec2.asked
    assert asked["InstanceTypes"] == ["m6i.xlarge", "m7i.xlarge", "m6i.2xlarge"] == spot_pools(SHAPE)
    assert (asked["ProductDescriptions"], asked["StartTime"], asked["EndTime"]) == (["Linux/UNIX"], SINCE, UNTIL)


def test_a_cluster_without_spot_asks_for_nothing() -> None:
    ec2 = Answers()
    assert with_spot_history(PRICES, ec2, shape_with(0), SINCE, UNTIL) is PRICES
    assert ec2.asked == []
    assert spot_source(shape_with(0), PRICES) == "none"


def test_a_price_counts_for_as_long_as_it_held() -> None:
    changes = [change("m6i.xlarge", "0.06", hours_ago=20), change("m6i.xlarge", "0.12", hours_ago=2)]
    assert real(changes)["m6i.xlarge", REGION] == pytest.approx((4 * 0.06 + 2 * 0.12) / 6)
    assert real(changes[::-1]) == real(changes), "AWS lists the newest first"


def test_of_the_zones_the_median_counts() -> None:
    zones = zip("abc", ("0.06", "0.07", "0.2"), strict=True)
    assert real([change("m6i.xlarge", price, f"eu-west-1{zone}") for zone, price in zones]) == {
        ("m6i.xlarge", REGION): pytest.approx(0.07)
    }


def test_all_pages_count() -> None:
    found = real([change("m6i.xlarge", "0.09")], [], [change("m7i.xlarge", "0.08")])
    assert set(found) == {("m6i.xlarge", REGION), ("m7i.xlarge", REGION)}


def test_a_history_without_end_is_left() -> None:
    class Endless(Answers):
        def describe_spot_price_history(self, **request: Any) -> Mapping[str, Any]:
            self.asked.append(request)
            return {"SpotPriceHistory": [change("m6i.xlarge", "0.09")], "NextToken": "more"}

    ec2 = Endless()
    assert with_spot_history(PRICES, ec2, SHAPE, SINCE, UNTIL).real_spot["m6i.xlarge", REGION] == pytest.approx(0.09)
    assert len(ec2.asked) == 20


def test_nobody_pays_more_than_on_demand() -> None:
    assert real([change("m6i.xlarge", "9.5")])["m6i.xlarge", REGION] == pytest.approx(0.214)


@pytest.mark.parametrize("price", ["", "free", "nan", "inf", "-0.1", "0", "0.00001", None])
def test_a_price_that_is_none_does_not_count(price: Any) -> None:
    assert real([change("m6i.xlarge", price)]) == {}
    assert real([change("m6i.xlarge", price), change("m6i.xlarge", "0.09")])["m6i.xlarge", REGION] == pytest.approx(
        0.09
    )


@pytest.mark.parametrize("lost", ["SpotPrice", "AvailabilityZone", "Timestamp", "InstanceType"])
def test_an_entry_without_one_of_its_fields_does_not_count(lost: str) -> None:
    broken = change("m6i.xlarge", "0.09")
    del broken[lost]
    assert real([broken, change("p9.huge", "3")]) == {}


@given(
    st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in POOLS]),
            st.floats(-1, 100) | st.just(float("nan")),
            st.sampled_from("abc"),
            st.floats(-2, 1000),
        ),
        max_size=30,
    )
)
def test_a_real_price_is_always_between_a_twentieth_of_on_demand_and_all_of_it(
    entries: list[tuple[str, float, str, float]],
) -> None:
    found = real([change(name, str(price), zone, hours) for name, price, zone, hours in entries])
    for (name, region), price in found.items():
        on_demand = PRICES.on_demand_hour(name, region)
        assert on_demand * 0.049 <= price <= on_demand * 1.001


@pytest.fixture
def ec2() -> Any:
    config = Config(retries={"total_max_attempts": 1})
    return boto3.client(
        "ec2", region_name=REGION, aws_access_key_id="k", aws_secret_access_key="s", config=config  # noqa: S106 - no secret
    )  # fmt: skip


@pytest.mark.parametrize("code", ["UnauthorizedOperation", "AccessDenied", "RequestLimitExceeded", "InternalError"])
def test_where_ec2_refuses_the_typical_share_counts_and_the_log_says_why(
    ec2: Any, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    with Stubber(ec2) as stub, caplog.at_level(logging.INFO):
        stub.add_client_error("describe_spot_price_history", code, "no", 403)
        table = with_spot_history(PRICES, ec2, SHAPE, SINCE, UNTIL)
    assert table is PRICES
    assert f"no real Spot prices ({code}): the typical share" in caplog.text
    assert spot_source(SHAPE, table) == "typical share"


def test_where_ec2_is_out_of_reach_the_typical_share_counts() -> None:
    class Nowhere(Answers):
        def describe_spot_price_history(self, **_: Any) -> Mapping[str, Any]:
            raise EndpointConnectionError(endpoint_url="https://ec2")

    assert with_spot_history(PRICES, Nowhere(), SHAPE, SINCE, UNTIL) is PRICES


def test_an_empty_answer_leaves_the_typical_share(ec2: Any) -> None:
    with Stubber(ec2) as stub:
        stub.add_response("describe_spot_price_history", {"SpotPriceHistory": [], "NextToken": ""})
        assert spot_source(SHAPE, with_spot_history(PRICES, ec2, SHAPE, SINCE, UNTIL)) == "typical share"


def test_the_request_and_the_answer_are_those_of_the_sdk(ec2: Any) -> None:
    with Stubber(ec2) as stub:
        stub.add_response(
            "describe_spot_price_history",
            {"SpotPriceHistory": [change("m6i.xlarge", "0.0901")], "NextToken": ""},
            {
                "InstanceTypes": spot_pools(SHAPE),
                "ProductDescriptions": ["Linux/UNIX"],
                "StartTime": SINCE,
                "EndTime": UNTIL,
            },
        )
        table = with_spot_history(PRICES, ec2, SHAPE, SINCE, UNTIL)
    assert table.real_spot == {("m6i.xlarge", REGION): pytest.approx(0.0901)}


@pytest.fixture
def asked_moto(aws: str) -> Iterator[Callable[[], Any]]:
    client = boto3.client("ec2", endpoint_url=aws, region_name=REGION)
    yield lambda: with_spot_history(PRICES, client, SHAPE, SINCE, UNTIL)
    client.close()


def test_a_server_s_answer_is_understood_and_its_made_up_price_is_not_believed(
    asked_moto: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        table = asked_moto()
    assert "m6i.xlarge as Spot for 1e-05 USD an hour is not believed" in caplog.text
    assert spot_source(SHAPE, table) == "typical share"


def test_an_estimate_takes_the_median_of_the_pools_a_unit_and_says_so() -> None:
    pages = [change("m6i.xlarge", "0.1"), change("m7i.xlarge", "0.08"), change("m6i.2xlarge", "0.18")]
    table = with_spot_history(PRICES, Answers(pages), SHAPE, SINCE, UNTIL)
    work = {"images_todo": 10**6, "images": 10**6, "rate_per_vcpu": 30.0}
    now, typical = (estimate_cost(SHAPE, prices, **work) for prices in (table, PRICES))  # type: ignore[arg-type] # numbers
    spot = {line.role: line.usd_hour for line in now.nodes if line.market == "SPOT"}["task"]
    on_demand = {line.role: line.usd_hour for line in now.nodes}["core"]
    assert on_demand - spot == pytest.approx(0.214 - 0.09)  # of 0.1, 0.08 and half of 0.18
    assert (now.spot_prices, typical.spot_prices) == ("history", "typical share")
    assert now.usd < typical.usd
    assert now.usd_on_demand == pytest.approx(typical.usd_on_demand)
    assert describe_estimate(now)[-1] == "Spot at the real price of the last hours, by EC2's price history"
    assert describe_estimate(typical)[-1] == "Spot at the region's typical share of the On-Demand price"
    assert now.to_dict()["spot_prices"] == "history"
    check_budget(now, now.usd_on_demand)

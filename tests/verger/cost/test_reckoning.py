"""Costs: what was said before, and what the machines' real hours come to."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_emr import EMRClient
from verger.cluster.shape import ShapeWish, choose_shape
from verger.cost.reckoning import (
    OverBudgetError,
    TooLongError,
    allowed_hours,
    check_budget,
    check_hours,
    cluster_cost,
    describe_estimate,
    estimate_cost,
    node_hour,
    per_thousand_images,
)
from verger.prices import PriceTable, load_prices

PRICES = load_prices()
WISH = ShapeWish(
    region="eu-west-1",
    instance_type="m6i.xlarge",
    core_nodes=2,
    max_nodes=4,
    wanted_minutes=30,
    spot_share=0.5,
    ebs_gb=32,
)
START = datetime(2026, 11, 21, 10, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_a_machine_s_hour_is_ec2_and_emr_and_storage_and_address() -> None:
    hour = node_hour("m6i.xlarge", "eu-west-1", "ON_DEMAND", 32, PRICES)
    assert hour == pytest.approx(0.214 * 1.25 + 52 * 0.0952 / 720 + 0.005)
    assert hour - node_hour("m6i.xlarge", "eu-west-1", "SPOT", 32, PRICES) == pytest.approx(0.214 * 0.4)


def test_an_estimate_adds_up_by_hand() -> None:
    shape = choose_shape(replace(WISH, max_nodes=2), PRICES, images=1000, rate_per_vcpu=30)
    estimate = estimate_cost(shape, PRICES, images_todo=144_000, images=200_000, rate_per_vcpu=30)
    assert estimate.featurize_minutes == pytest.approx(10)  # 144,000 / (30 x 8 vCPU) s
    assert estimate.minutes == pytest.approx(8 + 10 + 3 + 1 + 2)
    hour = 3 * node_hour("m6i.xlarge", "eu-west-1", "ON_DEMAND", 32, PRICES)
    assert estimate.usd == pytest.approx(hour * estimate.minutes / 60)
    assert estimate.usd_on_demand == pytest.approx(estimate.usd)


def test_spot_lowers_the_estimate_and_not_what_it_could_be() -> None:
    with_spot = choose_shape(WISH, PRICES, images=10**6, rate_per_vcpu=30)
    without = choose_shape(replace(WISH, spot_share=0), PRICES, images=10**6, rate_per_vcpu=30)
    work = {"images_todo": 10**6, "images": 10**6, "rate_per_vcpu": 30.0}
    dear, cheap = (estimate_cost(shape, PRICES, **work) for shape in (without, with_spot))  # type: ignore[arg-type] # numbers
    assert cheap.usd < dear.usd
    assert cheap.usd_on_demand == pytest.approx(dear.usd)


@given(st.integers(0, 10**7), st.integers(0, 240))
def test_a_held_cluster_costs_its_minutes(images: int, held: int) -> None:
    shape = choose_shape(WISH, PRICES, images=images, rate_per_vcpu=30)
    work = {"images_todo": images, "images": images, "rate_per_vcpu": 30.0}
    held_one, not_held = (
        estimate_cost(shape, PRICES, held_minutes=minutes, **work)  # type: ignore[arg-type] # numbers
        for minutes in (held, 0)
    )
    assert held_one.minutes - not_held.minutes == pytest.approx(held)
    assert held_one.usd >= not_held.usd


def test_a_budget_is_refused_with_what_it_could_cost_and_what_to_do() -> None:
    shape = choose_shape(WISH, PRICES, images=10**6, rate_per_vcpu=30)
    estimate = estimate_cost(shape, PRICES, images_todo=10**6, images=10**6, rate_per_vcpu=30)
    check_budget(estimate, estimate.usd_on_demand)
    with pytest.raises(
        OverBudgetError, match=r"budget_usd is 0\.10, but this cluster could cost \d\.\d\d .*no cluster"
    ):
        check_budget(estimate, 0.1)


def test_a_refusal_names_what_to_set_and_that_is_enough() -> None:
    shape = choose_shape(replace(WISH, max_nodes=2), PRICES, images=10**8, rate_per_vcpu=30)
    estimate = estimate_cost(shape, PRICES, images_todo=10**8, images=10**8, rate_per_vcpu=30)
    with pytest.raises(OverBudgetError, match=r"raise the budget to (\d+)") as refused:
        check_budget(estimate, 1.0)
    check_budget(estimate, float(re.findall(r"budget to (\d+)", str(refused.value))[0]))
    with pytest.raises(
        TooLongError, match=r"max_cluster_hours allows 6 h: raise it to \d+, or raise max_nodes"
    ) as late:
        check_hours(estimate, 6, 200)
    check_hours(estimate, int(re.findall(r"raise it to (\d+)", str(late.value))[0]), 200)
    with pytest.raises(TooLongError, match="48 would be the most, or raise max_nodes; no cluster was created"):
        check_hours(estimate, 6, 48)


def test_the_budget_bounds_a_cluster_s_age() -> None:
    shape = choose_shape(WISH, PRICES, images=1, rate_per_vcpu=30)
    estimate = estimate_cost(shape, PRICES, images_todo=1, images=1, rate_per_vcpu=30)
    assert allowed_hours(estimate, 1000, max_hours=6) == 6
    assert allowed_hours(estimate, 1, max_hours=6) == pytest.approx(1 / estimate.usd_hour_on_demand)


def test_an_estimate_in_words_names_machines_time_money_and_the_date_of_the_prices() -> None:
    shape = choose_shape(WISH, PRICES, images=10**6, rate_per_vcpu=30)
    text = "\n".join(describe_estimate(estimate_cost(shape, PRICES, images_todo=10**6, images=10**6, rate_per_vcpu=30)))
    for part in (
        "1 primary node: m6i.xlarge On-Demand",
        "2 task nodes: m6i.xlarge Spot",
        " USD",
        "2026-",
        "images/s a vCPU",
    ):
        assert part in text


def machine(start: float, end: float | None, kind: str = "m6i.xlarge", market: str = "ON_DEMAND") -> dict[str, Any]:
    timeline = {"CreationDateTime": at(start)} | ({"EndDateTime": at(end)} if end is not None else {})
    return {"InstanceType": kind, "Market": market, "Status": {"Timeline": timeline}}


def step(start: float | None, end: float | None) -> dict[str, Any]:
    times = {"StartDateTime": start, "EndDateTime": end}
    return {"Status": {"Timeline": {name: at(time) for name, time in times.items() if time is not None}}}


def cluster(ready: float | None, end: float | None) -> dict[str, Any]:
    times = {"CreationDateTime": 0.0, "ReadyDateTime": ready, "EndDateTime": end}
    timeline = {name: at(time) for name, time in times.items() if time is not None}
    return {"Id": "j-1", "Status": {"State": "TERMINATED" if end else "RUNNING", "Timeline": timeline}}


def reckon(described: dict[str, Any], machines: list[Any], steps: list[Any], now: float = 1000) -> Any:
    return cluster_cost(described, machines, steps, PRICES, region="eu-west-1", ebs_gb=32, now=at(now))


def test_each_machine_is_billed_its_own_time() -> None:
    cost = reckon(cluster(6, 60), [machine(0, 60), machine(1, 31), machine(2, 32, market="SPOT")], [])
    hours = [round(used.hours, 6) for used in cost.machines]
    assert hours == [1.0, 0.5, 0.5]
    on_demand, spot = (node_hour("m6i.xlarge", "eu-west-1", market, 32, PRICES) for market in ("ON_DEMAND", "SPOT"))
    assert cost.usd == pytest.approx(1.5 * on_demand + 0.5 * spot)


def test_a_machine_that_ended_at_once_is_billed_a_minute() -> None:
    assert reckon(cluster(6, 10), [machine(0, 0.1)], []).machines[0].hours == pytest.approx(1 / 60)


def test_idle_is_the_time_after_ready_without_any_step() -> None:
    cost = reckon(cluster(10, 60), [machine(0, 60)], [step(12, 30), step(20, 40), step(45, 50), step(None, None)])
    assert (cost.startup_minutes, cost.busy_minutes) == (10, pytest.approx(33))
    assert cost.idle_minutes == pytest.approx(50 - 33)
    assert cost.idle_usd == pytest.approx(cost.usd * 17 / 60)


def test_a_cluster_that_never_became_ready_wasted_nothing_but_its_start() -> None:
    cost = reckon(cluster(None, 8), [machine(0, 8)], [])
    assert (cost.startup_minutes, cost.idle_minutes, cost.busy_minutes) == (8, 0, 0)


def test_what_still_runs_is_billed_until_now() -> None:
    cost = reckon(cluster(5, None), [machine(0, None)], [step(5, None)], now=30)
    assert (cost.ended_at, cost.machines[0].hours) == (None, 0.5)
    assert cost.busy_minutes == pytest.approx(25)


def test_a_type_without_a_price_is_named_and_never_counted_as_free_in_silence() -> None:
    cost = reckon(cluster(5, 60), [machine(0, 60), machine(0, 60, kind="p9.huge")], [])
    assert cost.unpriced == ("p9.huge",)
    assert cost.machines[1].usd is None
    assert cost.usd == pytest.approx(node_hour("m6i.xlarge", "eu-west-1", "ON_DEMAND", 32, PRICES))


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=8))
def test_busy_time_is_never_more_than_there_was(spans: list[tuple[float, float]]) -> None:
    steps = [step(min(span), max(span)) for span in spans]
    cost = reckon(cluster(0, 100), [machine(0, 100)], steps)
    assert 0 <= cost.busy_minutes <= 100 + 1e-6
    assert cost.busy_minutes + cost.idle_minutes == pytest.approx(100)


def test_the_cost_of_a_thousand_images() -> None:
    assert per_thousand_images(0.5, 20_000) == pytest.approx(0.025)
    assert per_thousand_images(0.5, 0) is None


def test_what_emr_itself_reports_is_reckoned(
    local_emr: EMRClient, create_cluster: Callable[..., str], prices: PriceTable
) -> None:
    jar = {"Jar": "command-runner.jar", "Args": ["bash", "-c", "sleep 0.3"]}
    cluster_id = create_cluster(
        Steps=[{"Name": "one", "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}],
        Instances={
            "MasterInstanceType": "m6i.xlarge", "SlaveInstanceType": "m7g.xlarge", "InstanceCount": 3,
            "KeepJobFlowAliveWhenNoSteps": False,
        },
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while local_emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"] != "TERMINATED":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cost = cluster_cost(
        local_emr.describe_cluster(ClusterId=cluster_id)["Cluster"],
        local_emr.list_instances(ClusterId=cluster_id)["Instances"],
        local_emr.list_steps(ClusterId=cluster_id)["Steps"],
        prices,
        region="eu-west-1",
        ebs_gb=32,
        now=datetime.now(UTC),
    )
    assert sorted(used.instance_type for used in cost.machines) == ["m6i.xlarge", "m7g.xlarge", "m7g.xlarge"]
    assert cost.busy_minutes * 60 >= 0.3
    assert cost.usd > 0
    assert cost.ended_at is not None

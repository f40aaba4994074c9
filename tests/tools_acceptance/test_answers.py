"""What AWS may answer, and what the program makes of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.cluster.spark_properties import spark_properties
from verger.cost.cluster_times import ASSUMED_TIMES
from verger.prices import load_prices
from verger.run.settings import Settings

from spark_jobs.entry_points.show_executors import MARK
from tools.acceptance.answers import (
    EXECUTORS_MARK,
    WantedExecutors,
    has_our_tag,
    judge_executors,
    judge_spot,
    read_executors,
)
from tools.acceptance.orders import Part, plan

WANTED = WantedExecutors(number=2, cores=4, memory_mib=10_496, nodes=2)


def found(cores: list[int], memory: list[int], nodes: int = 2) -> dict[str, Any]:
    """What show_executors.py prints; executors on nodes in turn, the application master on the first."""
    hosts = [f"10.0.0.{number}" for number in range(nodes)]
    boxes = [{"id": "container_1_01_000001", "host": hosts[0], "memory_mib": 896}]
    boxes += [
        {"id": f"container_1_01_{number + 2:06d}", "host": hosts[number % nodes], "memory_mib": size}
        for number, size in enumerate(memory)
    ]
    executors = [
        {"id": str(number), "host": hosts[number % nodes], "cores": size} for number, size in enumerate(cores, 1)
    ]
    return {
        "executors": executors,
        "containers": boxes,
        "nodes": [{"host": host, "memory_mib": 11_712, "vcores": 4} for host in hosts],
    }


def test_the_step_s_mark_is_the_one_that_is_looked_for() -> None:
    assert MARK == EXECUTORS_MARK


def test_executors_are_read_from_a_log_that_says_other_things_too() -> None:
    line = f"{MARK}{json.dumps(found([4], [10_496], 1))}"
    assert read_executors(f"executors: 1 of 1 are there\n{line}\nbye\n") == found([4], [10_496], 1)
    assert read_executors("executors: 1 of 1 are there\n") is None


@pytest.mark.parametrize(
    ("cores", "memory", "nodes", "good"),
    [
        ([4, 4], [10_496, 10_496], 2, True),
        ([4, 4, 4], [10_496, 10_496, 10_496], 2, True),
        ([4], [10_496], 2, False),
        ([4, 8], [10_496, 20_992], 2, False),
        ([4, 4], [10_496, 11_700], 2, False),
        ([4, 4], [10_496], 2, False),
        ([4, 4], [10_496, 10_496], 3, False),
        ([], [], 2, False),
    ],
    ids=["as asked", "a larger machine takes more", "one too few", "resized", "more memory", "no container",
         "a node stays empty", "none"],
)  # fmt: skip
def test_executors_are_good_when_all_are_there_and_none_was_resized(
    cores: list[int], memory: list[int], nodes: int, good: bool
) -> None:
    assert judge_executors(WANTED, found(cores, memory, nodes)).good is good


@given(st.lists(st.integers(1, 64), max_size=6), st.lists(st.integers(1, 10**6), max_size=6), st.integers(1, 5))
def test_whatever_was_got_is_told(cores: list[int], memory: list[int], nodes: int) -> None:
    seen = judge_executors(WANTED, found(cores, memory, nodes)).seen
    assert f"{len(cores)} executors" in seen
    assert all(f"{size:,}" in seen for size in (*cores, *memory))


def test_what_is_wanted_is_what_the_cluster_is_told() -> None:
    prices = load_prices()
    order = plan(Part.RUN, Settings(bucket="any-bucket", region="eu-west-1"), prices, ASSUMED_TIMES)
    assert (order.shape.core.on_demand, order.shape.task.spot if order.shape.task else 0) == (1, 1)
    wanted = WantedExecutors.of(spark_properties(order.shape, prices), order.shape.worker_units)
    assert (wanted.number, wanted.cores, wanted.nodes) == (2, 4, 2)
    assert wanted.memory_mib < prices.instance_type("m6i.xlarge", "eu-west-1").yarn_memory_mib


def machine(market: str = "SPOT", state: str = "RUNNING") -> dict[str, Any]:
    return {"InstanceType": "m6i.xlarge", "Market": market, "Status": {"State": state}}


@pytest.mark.parametrize(
    ("machines", "encrypted", "security", "good"),
    [
        ([machine(), machine("ON_DEMAND")], [True, True], "sec", True),
        ([machine()], [True, False], "sec", False),
        ([machine()], [False], None, True),
        ([machine()], None, "sec", True),
        ([machine("ON_DEMAND")], [], "sec", False),
        ([machine(state="TERMINATED")], [], "sec", False),
    ],
    ids=["encrypted", "one disk is not", "not asked for", "not to be looked at", "On-Demand instead", "taken back"],
)
def test_spot_nodes_run_and_are_encrypted_where_that_was_asked_for(
    machines: list[dict[str, Any]], encrypted: list[bool] | None, security: str | None, good: bool
) -> None:
    volumes = None if encrypted is None else [{"Encrypted": value} for value in encrypted]
    assert judge_spot(machines, volumes, security).good is good


def test_a_cluster_without_tags_or_with_another_s_is_not_known_as_ours() -> None:
    assert not has_our_tag({})
    assert not has_our_tag({"Tags": [{"Key": "application", "Value": "other"}]})
    assert has_our_tag({"Tags": [{"Key": "a", "Value": "b"}, {"Key": "application", "Value": "verger"}]})

"""Every executor that a cluster asks for starts, on every type and mix of types, and no machine is paid for in vain.

YARN is played here by its arithmetic; `tests/e2e/test_yarn_sizes.py` asks a real one.
"""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.cluster.executor_memory import alike, executor_mib, executors_on
from verger.cluster.shape import ClusterShape, Fleet, ShapeWish, choose_shape
from verger.cluster.spark_properties import spark_properties
from verger.prices import InstanceType, PriceTable, load_prices
from verger.run.eu_guard import EU_REGIONS

PRICES = load_prices()
WISH = ShapeWish(
    region="eu-west-1",
    instance_type="m6i.xlarge",
    core_nodes=1,
    max_nodes=20,
    wanted_minutes=30,
    spot_share=0.5,
    ebs_gb=32,
)
#: What YARN takes for the application master: heap and overhead, in multiples of EMR's smallest container.
AM_MIB = 896
places = st.sampled_from([(name, region) for region in EU_REGIONS for name in PRICES.names(region)])


def asked_for(shape: ClusterShape) -> tuple[int, int]:
    """How many executors a cluster asks for, and how many MiB each takes."""
    properties = spark_properties(shape, PRICES)
    parts = (int(properties[f"spark.executor.{part}"].removesuffix("m")) for part in ("memory", "memoryOverhead"))
    return int(properties["spark.executor.instances"]), sum(parts)


def drawn(fleet: Fleet | None, region: str, data: st.DataObject) -> list[tuple[InstanceType, int]]:
    """Machines that EMR may draw for a fleet: any of its types, until the wanted units are there."""
    machines: list[tuple[InstanceType, int]] = []
    units = fleet.units if fleet else 0
    while fleet and sum(weight for _, weight in machines) < units:
        name, weight = data.draw(st.sampled_from(fleet.types))
        machines.append((PRICES.instance_type(name, region), weight))
    return machines


@given(places, st.integers(1, 20), st.floats(0, 1), st.data())
def test_all_executors_fit_beside_the_application_master_and_no_machine_is_left_empty(
    place: tuple[str, str], nodes: int, spot: float, data: st.DataObject
) -> None:
    name, region = place
    wish = replace(WISH, region=region, instance_type=name, max_nodes=nodes, spot_share=spot)
    shape = choose_shape(wish, PRICES, images=10**9, rate_per_vcpu=30)
    wanted, size = asked_for(shape)
    machines = [*drawn(shape.core, region, data), *drawn(shape.task, region, data)]
    with_master = data.draw(st.integers(0, len(machines) - 1))
    rooms = [
        (kind.yarn_memory_mib - (AM_MIB if number == with_master else 0)) // size
        for number, (kind, _) in enumerate(machines)
    ]
    assert sum(rooms) >= wanted
    # No machine takes more than its cores are for.
    assert all(room == executors_on(kind) for room, (kind, _) in zip(rooms, machines, strict=True))
    if sum(weight for _, weight in machines) == shape.worker_units:
        assert sum(rooms) == wanted, "however YARN fills them, each machine gets its executors"


@given(places)
def test_the_stand_ins_cost_the_chosen_type_little_of_its_memory(place: tuple[str, str]) -> None:
    name, region = place
    kind = PRICES.instance_type(name, region)
    shape = choose_shape(replace(WISH, region=region, instance_type=name), PRICES, images=10**9, rate_per_vcpu=30)
    _, size = asked_for(shape)
    assert size * executors_on(kind) >= 0.74 * kind.yarn_memory_mib


@pytest.mark.parametrize(
    ("name", "executors"), [("m6i.xlarge", 1), ("c7i.xlarge", 1), ("m5.2xlarge", 2), ("r6i.4xlarge", 4)]
)
def test_executors_take_four_vcpus_and_a_quarter_of_their_memory_is_the_jvms(name: str, executors: int) -> None:
    wish = replace(WISH, instance_type=name, core_nodes=3, max_nodes=3)
    shape = choose_shape(wish, PRICES, images=10, rate_per_vcpu=30)
    properties = spark_properties(shape, PRICES)
    assert properties["spark.executor.instances"] == str(3 * executors)
    assert properties["spark.executor.cores"] == "4"
    heap = int(properties["spark.executor.memory"].removesuffix("m"))
    assert 1536 <= heap <= 4096
    assert asked_for(shape)[1] - heap >= 4 * 700, "MiB for each of four Python workers, twice what the largest took"


def test_nothing_changes_the_number_or_size_of_the_executors() -> None:
    properties = spark_properties(choose_shape(WISH, PRICES, images=10, rate_per_vcpu=30), PRICES)
    assert properties["spark.dynamicAllocation.enabled"] == "false"
    assert properties["spark.yarn.heterogeneousExecutors.enabled"] == "false"
    assert (properties["spark.yarn.am.memory"], properties["spark.yarn.am.memoryOverhead"]) == ("512m", "384m")


def test_a_cluster_like_an_earlier_one_has_executors_for_its_smallest_type_and_its_primary_node() -> None:
    core = Fleet("core", (("m5.4xlarge", 4), ("m6i.xlarge", 1)), on_demand=8)
    shape = ClusterShape("eu-west-1", Fleet("primary", (("c7i.xlarge", 1),), 1), core, None, ebs_gb=32, like="j-1")
    wanted, size = asked_for(shape)
    assert wanted == 8
    assert size <= 5632, "the ResourceManager's largest container is its own machine's"


def test_a_type_that_takes_more_executors_than_it_has_cores_for_is_no_stand_in() -> None:
    types = [(PRICES.instance_type(name, "eu-west-1"), 1) for name in ("m6i.xlarge", "r6i.xlarge", "m5.xlarge")]
    assert [kind.name for kind, _ in alike(types)] == ["m6i.xlarge", "m5.xlarge"]


@given(st.lists(st.tuples(st.integers(4_000, 300_000), st.integers(1, 4)), min_size=1, max_size=6))
def test_the_first_type_always_stays(sizes: list[tuple[int, int]]) -> None:
    template = PRICES.instance_type("m6i.xlarge", "eu-west-1")
    types = [
        (replace(template, name=str(number), vcpus=4 * weight, yarn_memory_mib=memory * weight), weight)
        for number, (memory, weight) in enumerate([(sizes[0][0], 1), *sizes[1:]])
    ]
    kept = alike(types)
    assert kept[0] == types[0]
    size = executor_mib(kept, 1)
    assert all(kind.yarn_memory_mib // size == weight for kind, weight in kept)


def test_two_of_a_kind_are_alike(prices: PriceTable) -> None:
    kinds = [prices.instance_type(name, "eu-west-1") for name in ("m6i.xlarge", "m6a.xlarge")]
    pairs = [(kind, 1) for kind in kinds]
    assert all(alike(list(order)) == list(order) for order in itertools.permutations(pairs))

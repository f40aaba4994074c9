"""Two tables know what EMR gives YARN on a node, the local EMR's and the DAG's: they say the same."""

import tomllib
from pathlib import Path

import pytest
from verger.prices import load_prices

from local_emr.instance_types import UnknownInstanceTypeError, instance_type, load_instance_types

PRICED = load_prices().types
LOCAL = load_instance_types()
PROJECT = Path(__file__).resolve().parents[2]


def test_both_tables_hold_the_same_types_with_the_same_yarn_memory() -> None:
    dag, local = (
        tomllib.loads((PROJECT / place / "instance_types.toml").read_text("utf-8"))
        for place in ("plugins/verger", "local_emr")
    )
    assert {family: spec["yarn_memory_mib"] for family, spec in dag.items()} == local["yarn_memory_mib"]


@pytest.mark.parametrize("name", PRICED)
def test_a_priced_type_has_the_same_vcpus_and_yarn_memory_on_the_local_emr(name: str) -> None:
    known, local = PRICED[name], instance_type(name)
    assert (local.name, local.vcpus, local.yarn_memory_mib) == (name, known.vcpus, known.yarn_memory_mib)


@pytest.mark.parametrize(
    ("name", "vcpus", "memory_mib"),
    [
        ("m5.xlarge", 4, 12288), ("m6i.xlarge", 4, 11712), ("m7g.2xlarge", 8, 23424), ("c7i.xlarge", 4, 5632),
        ("c5.4xlarge", 16, 24576), ("r6i.4xlarge", 16, 116736), ("r8g.8xlarge", 32, 241664),
    ],
)  # fmt: skip
def test_the_numbers_are_those_of_the_release_guide(name: str, vcpus: int, memory_mib: int) -> None:
    assert (LOCAL[name].vcpus, LOCAL[name].yarn_memory_mib) == (vcpus, memory_mib)


@pytest.mark.parametrize("name", PRICED)
def test_yarn_gets_between_two_thirds_of_a_node_s_memory_and_all_of_it(name: str) -> None:
    kind = PRICED[name]
    assert 2 / 3 < kind.yarn_memory_mib / (kind.memory_gib * 1024) < 1


@pytest.mark.parametrize("name", ["t3.xlarge", "c5.8xlarge", "m6i.large", "", "m6i"])
def test_a_type_that_the_local_emr_does_not_know_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(UnknownInstanceTypeError, match=r"m6i\.xlarge.*or add it to instance_types\.toml"):
        instance_type(name)

"""Under YARN a step gets its executors or says within a bound why not; asked of a real one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.artifacts.code_bundle import job_packages, zip_packages
from verger.cluster.shape import ShapeWish, choose_shape
from verger.cluster.spark_properties import spark_properties
from verger.prices import load_prices

from spark_jobs.place.yarn_executors import Request, YarnNode, complaint, room_for_more
from tests.local_emr.conftest import BUCKET
from tests.local_emr.yarn_lab import finished, fleets, serving_yarn, spark_defaults, spark_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local_emr.conftest import Lab

PROJECT = Path(__file__).resolve().parents[2]
#: Opens the jobs' own context and waits until as many executors work as the last word says.
OPENS = """
import sys, time
from spark_jobs.job_errors import run_step
from spark_jobs.place.spark_context import close_context, open_context

def step():
    context = open_context("opens")
    wanted = int(sys.argv[1])
    while context._jsc.sc().getExecutorMemoryStatus().size() - 1 < wanted:
        time.sleep(0.2)
    print("sum", context.parallelize(range(wanted * 4), wanted * 4).sum(), flush=True)
    close_context(context)

sys.exit(run_step(step))
"""
#: How executors were cut before: three quarters of the memory less a gigabyte (m6i.xlarge, c7i.xlarge, r6i.xlarge).
BEFORE = {"m6i.xlarge": (4505, 6759), "c7i.xlarge": (2048, 3072), "r6i.xlarge": (9420, 14132)}
WAIT = "spark.verger.executorWaitSeconds"

requests = st.builds(Request, st.integers(1, 40), st.integers(500, 40_000), st.integers(1, 8), st.just(896))
nodes = st.builds(YarnNode, st.just("10.0.0.1"), st.integers(4_000, 250_000), st.just(0), st.integers(1, 64))


@given(requests, st.lists(nodes, max_size=5))
def test_no_more_is_asked_for_than_memory_and_cores_have_room_for(request_: Request, found: list[YarnNode]) -> None:
    room = room_for_more(found, request_)
    assert 0 <= room <= sum(node.vcores // request_.cores for node in found)
    assert room * request_.memory <= sum(node.memory for node in found)
    full = [YarnNode(n.address, n.memory, n.vcores // request_.cores * request_.memory, n.vcores) for n in found]
    assert room_for_more(full, request_) == 0


@given(requests, st.lists(nodes, max_size=3))
def test_the_complaint_names_what_was_asked_for_and_what_to_change(request_: Request, found: list[YarnNode]) -> None:
    told = complaint(request_, found, 300)
    assert str(request_.memory) in told
    assert "300 s" in told
    assert "no node at all" in told or "What to change" in told


@pytest.fixture(scope="module")
def yarn_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A user of a local EMR with YARN that has the jobs' package and a step that opens their context."""
    with serving_yarn(tmp_path_factory) as lab:
        lab.s3.put_object(Bucket=BUCKET, Key="code/spark_jobs.zip", Body=zip_packages(*job_packages(PROJECT)))
        lab.put("code/opens.py", OPENS)
        yield lab


@pytest.mark.spark
@pytest.mark.parametrize(
    "kind",
    [
        "m6i.xlarge",
        "r6i.xlarge",
        *(pytest.param(kind, marks=pytest.mark.long) for kind in ("c7i.xlarge", "m5.2xlarge")),
    ],
)
def test_executors_of_each_kind_of_machine_start_and_those_of_before_are_refused_clearly(
    yarn_lab: Lab, kind: str
) -> None:
    """On one node, which the application master shares: where each size is decided."""
    lab = yarn_lab
    wish = ShapeWish("eu-west-1", kind, core_nodes=1, max_nodes=1, wanted_minutes=30, spot_share=0, ebs_gb=32)
    prices = load_prices()
    properties = spark_properties(choose_shape(wish, prices, images=10, rate_per_vcpu=30), prices)
    executors = properties["spark.executor.instances"]
    steps = [spark_step("opens.py", py_files=f"s3://{BUCKET}/code/spark_jobs.zip", arguments=(executors,))]
    if before := BEFORE.get(kind):
        heap, overhead = before
        sizes = (f"spark.executor.memory={heap}m", f"spark.executor.memoryOverhead={overhead}m", f"{WAIT}=20")
        step = spark_step("opens.py", *sizes, py_files=f"s3://{BUCKET}/code/spark_jobs.zip", arguments=("1",))
        steps.append(step)
    small = {"spark.driver.memory": "1g"}  # this machine's memory is not a primary node's
    cluster = lab.start(*steps, instances=fleets(kind, 1), Configurations=spark_defaults(properties | small))
    new = finished(lab, cluster)
    assert new["Status"]["State"] == "COMPLETED", lab.log(cluster, f"steps/{new['Id']}/stderr")
    assert "executors: YARN has room" not in lab.log(cluster, f"steps/{new['Id']}/stdout")
    if before:
        old = finished(lab, cluster, 1)
        assert old["Status"]["State"] == "FAILED"
        message = old["Status"]["FailureDetails"]["Message"]
        assert "YARN" in message
        assert str(sum(before)) in message
    lab.end(cluster)


@pytest.mark.spark
def test_where_a_fleet_drew_more_than_was_asked_for_more_executors_start(yarn_lab: Lab) -> None:
    lab = yarn_lab
    sizes = {
        "spark.executor.instances": "1", "spark.executor.cores": "4", "spark.driver.memory": "1g",
        "spark.executor.memory": "2752m", "spark.executor.memoryOverhead": "8256m", "spark.yarn.am.memory": "512m",
    }  # fmt: skip
    step = spark_step("opens.py", py_files=f"s3://{BUCKET}/code/spark_jobs.zip", arguments=("2",))
    cluster = lab.start(step, instances=fleets("m6i.2xlarge", 1), Configurations=spark_defaults(sizes))
    done = finished(lab, cluster)
    log = lab.log(cluster, f"steps/{done['Id']}/stdout")
    assert done["Status"]["State"] == "COMPLETED", lab.log(cluster, f"steps/{done['Id']}/stderr")
    assert "executors: YARN has room for 1 more: asked for" in log
    lab.end(cluster)


@pytest.mark.spark
def test_a_cluster_whose_memory_somebody_else_holds_fails_the_step_before_it_has_an_application_master(
    yarn_lab: Lab,
) -> None:
    lab = yarn_lab
    sizes = {"spark.executor.memory": "1g", "spark.driver.memory": "1g", "spark.yarn.am.memory": "12g", WAIT: "15"}
    step = spark_step("opens.py", py_files=f"s3://{BUCKET}/code/spark_jobs.zip", arguments=("1",))
    cluster = lab.start(step, instances=fleets("c7i.2xlarge", 1), Configurations=spark_defaults(sizes))
    done = finished(lab, cluster)
    assert done["Status"]["State"] == "FAILED"
    assert "YARN" in done["Status"]["FailureDetails"]["Message"]
    lab.end(cluster)

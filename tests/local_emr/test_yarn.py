"""Clusters with a real YARN: steps run there with the arguments that they have on EMR."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_emr.yarn import hadoop_conf
from local_emr.yarn.subnet import NoSubnetError, free_subnet
from tests.local_emr.conftest import kill, wait_until
from tests.local_emr.yarn_lab import (
    STEP_SECONDS,
    container_logs,
    finished,
    fleets,
    serving_yarn,
    spark_defaults,
    spark_step,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local_emr.conftest import Lab

SCRIPT = """
import json, os, sys, time
from pyspark import SparkContext
sc = SparkContext()
conf = dict(sc.getConf().getAll())
def place(_):
    yield {"host": os.environ["NM_HOST"], "python": sys.executable, "region": os.environ.get("AWS_REGION"),
           "key": bool(os.environ.get("AWS_ACCESS_KEY_ID")), "container": os.environ["CONTAINER_ID"]}
seen = sc.parallelize(range(16), 16).mapPartitions(place).collect()
print(json.dumps({"master": sc.master, "memory": conf.get("spark.executor.memory"), "seen": seen,
                  "region": os.environ.get("AWS_REGION")}), flush=True)
"""


GREEDY = """
import time
from pyspark import SparkContext
def take(_):
    kept = bytearray(3_000_000_000)
    for start in range(0, len(kept), 4096):
        kept[start] = 1
    time.sleep(30)
    yield len(kept)
print(SparkContext().parallelize([0], 1).mapPartitions(take).collect())
"""


@pytest.fixture(scope="module")
def yarn_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A user of a local EMR with YARN, and a step that tells where its tasks ran."""
    with serving_yarn(tmp_path_factory) as lab:
        lab.put("code/places.py", SCRIPT)
        yield lab


@pytest.mark.spark
def test_a_step_runs_on_executors_of_every_node_with_the_clusters_own_configuration(yarn_lab: Lab) -> None:
    sizes = {
        "spark.executor.instances": "2", "spark.executor.cores": "4",
        "spark.executor.memory": "4300m", "spark.executor.memoryOverhead": "6196m", "spark.yarn.am.memory": "512m",
    }  # fmt: skip
    cluster = yarn_lab.start(
        spark_step("places.py"), instances=fleets("m6i.xlarge", 1, spot=1), Configurations=spark_defaults(sizes)
    )
    step = finished(yarn_lab, cluster)
    log = f"steps/{step['Id']}"
    assert step["Status"]["State"] == "COMPLETED", yarn_lab.log(cluster, f"{log}/stderr")
    said = json.loads(yarn_lab.log(cluster, f"{log}/stdout").splitlines()[-1])
    assert said["master"] == "yarn"
    assert said["memory"] == "4300m"
    assert said["region"] == "eu-north-1", "the driver's region is the cluster's export"
    addresses = {
        instance["PrivateIpAddress"]
        for instance in yarn_lab.emr.list_instances(ClusterId=cluster)["Instances"]
        if instance["PrivateIpAddress"].startswith("127.")
    }
    assert len(addresses) == 2
    assert {place["host"] for place in said["seen"]} == addresses
    assert all(place["key"] and place["region"] is None for place in said["seen"]), "as with instance metadata"
    yarn_lab.end(cluster)
    logs = container_logs(yarn_lab, cluster)
    assert {key.rpartition("/")[2] for key in logs} >= {"stdout.gz", "stderr.gz"}
    assert not [key for key in logs if "launch_container" in key]


@pytest.mark.spark
def test_a_container_over_its_memory_is_killed_by_yarn_and_the_step_says_so(yarn_lab: Lab) -> None:
    """The Python workers of an executor share what it has beside its heap: here they take three times that."""
    yarn_lab.put("code/greedy.py", GREEDY)
    sizes = {
        "spark.executor.instances": "1", "spark.executor.memory": "512m", "spark.executor.memoryOverhead": "384m",
        "spark.task.maxFailures": "1", "spark.executor.maxNumFailures": "1", "spark.driver.memory": "512m",
    }  # fmt: skip
    cluster = yarn_lab.start(
        spark_step("greedy.py"), instances=fleets("m6i.xlarge", 1), Configurations=spark_defaults(sizes)
    )
    step = finished(yarn_lab, cluster)
    said = yarn_lab.log(cluster, f"steps/{step['Id']}/stderr") + yarn_lab.log(cluster, f"steps/{step['Id']}/stdout")
    assert step["Status"]["State"] == "FAILED"
    assert "memory" in said
    assert "killed by YARN" in said or "Container killed on request" in said
    yarn_lab.end(cluster)


def test_the_last_core_node_takes_the_cluster_with_it_and_another_is_replaced(yarn_lab: Lab) -> None:
    lab = yarn_lab
    cluster = lab.start(instances=fleets("c7i.xlarge", 1, spot=1))
    wait_until(lambda: lab.status(cluster)["State"] == "WAITING", STEP_SECONDS)

    def alive() -> dict[str, str]:
        listed = lab.emr.list_instances(ClusterId=cluster, InstanceStates=["RUNNING"])["Instances"]
        return {i["Ec2InstanceId"]: i["PrivateIpAddress"] for i in listed if i["PrivateIpAddress"].startswith("127.")}

    def lost(group: Literal["CORE", "TASK"]) -> str:
        """Have the machine of a role go away, as its own `shutdown` does; its id."""
        listed = lab.emr.list_instances(ClusterId=cluster, InstanceFleetType=group, InstanceStates=["RUNNING"])[
            "Instances"
        ]
        kill(supervisor_of(listed[0]["Id"]))
        return listed[0]["Ec2InstanceId"]

    before = alive()
    gone = lost("TASK")
    wait_until(lambda: gone not in alive() and len(alive()) == len(before), STEP_SECONDS)
    lost("CORE")
    wait_until(lambda: lab.status(cluster)["State"] == "TERMINATED_WITH_ERRORS", STEP_SECONDS)
    assert lab.status(cluster)["StateChangeReason"] == {
        "Code": "INSTANCE_FAILURE",
        "Message": "All slaves in the job flow were terminated",
    }
    wait_until(lambda: not supervisors_of(cluster))


def test_a_bootstrap_action_that_fails_on_a_core_node_alone_ends_the_cluster_and_names_the_node(yarn_lab: Lab) -> None:
    lab = yarn_lab
    script = "#!/bin/sh\ngrep -q '\"isMaster\": true' $LOCAL_EMR_NODE_ROOT/mnt/var/lib/info/instance.json || exit 3\n"
    action = {"Name": "only the primary", "ScriptBootstrapAction": {"Path": lab.put("code/only.sh", script)}}
    cluster = lab.start(instances=fleets("m6i.xlarge", 1), BootstrapActions=[action])
    wait_until(lambda: lab.status(cluster)["State"] == "TERMINATED_WITH_ERRORS", STEP_SECONDS)
    core = lab.emr.list_instances(ClusterId=cluster, InstanceFleetType="CORE")["Instances"][0]["Ec2InstanceId"]
    assert lab.status(cluster)["StateChangeReason"] == {
        "Code": "BOOTSTRAP_FAILURE",
        "Message": f"On 1 slave instance ({core}), bootstrap action 1 returned a non-zero return code",
    }
    assert not supervisors_of(cluster)


def test_a_machine_whose_memory_for_yarn_is_not_known_is_refused_with_the_table_to_look_at(yarn_lab: Lab) -> None:
    cluster = yarn_lab.start(instances=fleets("x1.giant", 1))
    reason = yarn_lab.reach(cluster, "TERMINATED_WITH_ERRORS")["StateChangeReason"]
    assert reason["Code"] == "VALIDATION_ERROR"
    assert "x1.giant" in reason["Message"]
    assert "instance_types.toml" in reason["Message"]


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.text(max_size=30)), max_size=5))
def test_hadoop_reads_back_what_is_written(pairs: list[tuple[str, str]]) -> None:
    legal = {name: value for name, value in pairs if all(c.isprintable() for c in name + value)}
    root = ET.fromstring(hadoop_conf.hadoop_xml(legal))  # noqa: S314 - our own
    assert {p.findtext("name"): p.findtext("value") for p in root} == legal


def test_the_later_configuration_wins_and_what_has_no_effect_is_known() -> None:
    given_twice: list[dict[str, Any]] = [
        {"Classification": "yarn-site", "Properties": {"a": "1", "b": "1"}},
        {"Classification": "yarn-site", "Properties": {"b": "2"}},
        {"Classification": "spark-env", "Configurations": [{"Classification": "export", "Properties": {"X": "y"}}]},
        {"Classification": "hive-site"},
    ]
    assert hadoop_conf.properties_of(given_twice, "yarn-site") == {"a": "1", "b": "2"}
    assert hadoop_conf.exports_of(given_twice, "spark-env") == {"X": "y"}
    assert hadoop_conf.without_effect(given_twice) == ["hive-site"]


def test_two_clusters_have_addresses_of_their_own(yarn_lab: Lab) -> None:
    del yarn_lab  # its clusters may be at work
    with socket.socket() as taken:
        first = free_subnet()
        taken.bind((first.primary, 8032))
        assert free_subnet().prefix != first.prefix
    assert [first.worker(1), first.worker(2)] == [f"{first.prefix}.2", f"{first.prefix}.3"]
    with pytest.raises(NoSubnetError, match="253"):
        first.worker(254)


def supervisors_of(cluster: str) -> list[int]:
    """The processes that play nodes of a cluster, by where their daemons work."""
    return [pid for pid, words in _commands() if cluster in words and "NodeManager" in words]


def supervisor_of(instance_id: str) -> int:
    """The process that plays a node: the parent of its NodeManager."""
    daemon = next(pid for pid, words in _commands() if f"/{instance_id}:" in words and "NodeManager" in words)
    return int(Path(f"/proc/{daemon}/stat").read_text().rpartition(")")[2].split()[1])


def _commands() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_bytes().decode("utf-8", "replace")

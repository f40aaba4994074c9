"""Clusters with a real YARN: steps run there with the arguments that they have on EMR."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.local_emr.yarn_lab import container_logs, finished, fleets, serving_yarn, spark_defaults, spark_step

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

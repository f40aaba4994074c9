"""The cluster as it is asked of EMR."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from mypy_boto3_emr import EMRClient
from verger.cluster.hold import look_around
from verger.cluster.shape import ClusterShape, ShapeError, ShapeWish, choose_shape
from verger.cluster.spec import ClusterOrder, job_flow
from verger.cluster.subnets import SubnetMissingError
from verger.cluster.tags import cluster_tags
from verger.preflight import check_cluster
from verger.prices import PriceTable, UnknownInstanceTypeError, load_prices
from verger.run.deployment import Deployment
from verger.run.settings import SettingError, Settings
from verger.storage.layout import BucketLayout

SETTINGS = Settings(bucket="fruits", region="eu-west-1", instance_type="m7g.xlarge")
DEPLOYMENT = Deployment(home=Path())
WISH = ShapeWish("eu-west-1", "m7g.xlarge", core_nodes=2, max_nodes=6, wanted_minutes=10, spot_share=0.5, ebs_gb=32)

ORDER = ClusterOrder(
    name="verger-x-try1",
    code_uri="s3://fruits/code/abc",
    shape=choose_shape(WISH, load_prices(), images=10**7, rate_per_vcpu=30),
    tags=cluster_tags(installation="v", dag_id="d", run_id="r", end_by=datetime(2026, 11, 21, tzinfo=UTC)),
    allowed_hours=2.51,
)


def request(prices: PriceTable, settings: Settings = SETTINGS, deployment: Deployment = DEPLOYMENT) -> dict[str, Any]:
    return job_flow(settings, deployment, BucketLayout("fruits"), ORDER, prices)


def properties(asked: dict[str, Any], classification: str) -> dict[str, str]:
    (found,) = [part["Properties"] for part in asked["Configurations"] if part["Classification"] == classification]
    return dict(found)


def test_the_sdk_takes_the_request(prices: PriceTable) -> None:
    emr = boto3.client("emr", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106 -- no secret
    everything = replace(
        DEPLOYMENT,
        subnet_id="subnet-1, subnet-2",
        security_configuration="verger",
        key_name="orchard",
        wheelhouse_uri="s3://fruits/wheels",
    )
    for deployment in (DEPLOYMENT, everything):
        with Stubber(emr) as stub:
            stub.add_response("run_job_flow", {"JobFlowId": "j-1"})
            emr.run_job_flow(**request(prices, replace(SETTINGS, keep_for_demo_minutes=10), deployment))


def test_the_installation_s_network_security_and_wheelhouse_are_used(prices: PriceTable) -> None:
    deployment = replace(
        DEPLOYMENT, subnet_id="subnet-1,subnet-2", security_configuration="verger", wheelhouse_uri="s3://fruits/wheels"
    )
    asked = request(prices, deployment=deployment)
    assert asked["Instances"]["Ec2SubnetIds"] == ["subnet-1", "subnet-2"]
    assert asked["SecurityConfiguration"] == "verger"
    arguments = asked["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"]
    assert arguments[-2:] == ["--wheelhouse", "s3://fruits/wheels"]
    chosen = request(prices, replace(SETTINGS, subnet_id="subnet-0a"), deployment)
    assert chosen["Instances"]["Ec2SubnetIds"] == ["subnet-0a"]


def test_a_node_ends_by_itself_a_while_after_the_reaper_should_have_ended_its_cluster(prices: PriceTable) -> None:
    arguments = request(prices)["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"]
    assert arguments[arguments.index("--end-after-minutes") + 1] == "166"  # 2.51 h and 15 min


@pytest.mark.parametrize(("engine", "file"), [("litert", "requirements.txt"), ("keras", "requirements-keras.txt")])
def test_nodes_get_tensorflow_only_for_the_engine_that_needs_it(prices: PriceTable, engine: str, file: str) -> None:
    asked = request(prices, replace(SETTINGS, engine=engine))
    arguments = asked["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"]
    assert arguments[:4] == ["--requirements", f"s3://fruits/code/abc/{file}", "--engine", engine]


def test_without_them_nothing_of_the_kind_is_asked_for(prices: PriceTable) -> None:
    asked = request(prices)
    assert "SecurityConfiguration" not in asked
    assert not {"Ec2SubnetIds", "Ec2KeyName"} & asked["Instances"].keys()
    assert "--wheelhouse" not in asked["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"]


def test_executors_are_for_the_whole_cluster_and_stay(prices: PriceTable) -> None:
    defaults = properties(request(prices), "spark-defaults")
    assert defaults["spark.executor.instances"] == "6"
    assert defaults["spark.dynamicAllocation.enabled"] == "false"


def test_the_application_master_stays_off_spot_nodes_where_there_are_both_kinds(prices: PriceTable) -> None:
    assert properties(request(prices), "yarn-site") == {
        "yarn.node-labels.enabled": "true",
        "yarn.node-labels.am.default-node-label-expression": "CORE",
    }


def spot_core(shape: ClusterShape) -> ClusterShape:
    """The shape of an earlier cluster whose core nodes were Spot as well."""
    return replace(shape, core=replace(shape.core, on_demand=0, spot=shape.core.units))


@pytest.mark.parametrize("changed", [lambda shape: replace(shape, task=None), spot_core])
def test_labels_are_left_alone_where_there_is_nothing_to_choose(
    prices: PriceTable, changed: Callable[[ClusterShape], ClusterShape]
) -> None:
    """Without Spot nodes they gain nothing; with Spot core nodes CORE would be no better than any other."""
    order = replace(ORDER, shape=changed(ORDER.shape))
    asked = job_flow(SETTINGS, DEPLOYMENT, BucketLayout("fruits"), order, prices)
    assert "yarn-site" not in {part["Classification"] for part in asked["Configurations"]}


def test_only_a_cluster_that_is_held_has_livy(prices: PriceTable) -> None:
    def names(settings: Settings) -> list[str]:
        return [application["Name"] for application in request(prices, settings)["Applications"]]

    assert names(SETTINGS) == ["Spark"]
    assert names(replace(SETTINGS, keep_for_demo_minutes=5)) == ["Spark", "Livy", "JupyterEnterpriseGateway"]


def test_a_held_cluster_says_how_to_reach_it() -> None:
    cluster = {"Id": "j-1", "MasterPublicDnsName": "ip-10-0-0-1", "Ec2InstanceAttributes": {"Ec2KeyName": "orchard"}}
    text = "\n".join(look_around(cluster, "s3://fruits/results/r"))
    for part in (
        "ssh -i ~/.ssh/orchard.pem -N -L 18080:",
        "hadoop@ip-10-0-0-1",
        "%spark add",
        "matrix.parquet",
        "pyspark",
    ):
        assert part in text


def test_a_held_cluster_without_a_key_says_what_to_set() -> None:
    assert "VERGER_KEY_NAME" in look_around({"Id": "j-1"}, "s3://fruits/results/r")[0]


def no_ec2() -> Any:
    raise AssertionError("there is no subnet to ask for")


def test_what_a_cluster_is_made_of_is_checked_before_it_is_asked_for(local_emr: EMRClient, prices: PriceTable) -> None:
    ec2 = boto3.client("ec2", region_name="eu-west-1")
    check_cluster(local_emr, no_ec2, SETTINGS, DEPLOYMENT, prices)
    gone = "subnet-0123456789abcdef0"
    for settings, deployment, error, words in (
        (replace(SETTINGS, instance_type="p9.huge"), DEPLOYMENT, UnknownInstanceTypeError, "p9.huge"),
        (replace(SETTINGS, like_cluster_id="j-GONE"), DEPLOYMENT, ShapeError, "j-GONE"),
        (replace(SETTINGS, subnet_id=gone), DEPLOYMENT, SubnetMissingError, gone),
        (SETTINGS, replace(DEPLOYMENT, subnet_id=gone), SubnetMissingError, gone),
        (SETTINGS, replace(DEPLOYMENT, security_configuration="gone"), SettingError, "VERGER_SECURITY_CONFIGURATION"),
    ):
        with pytest.raises(error, match=words):
            check_cluster(local_emr, lambda: ec2, settings, deployment, prices)


def test_a_security_configuration_that_is_there_is_good(local_emr: EMRClient, prices: PriceTable) -> None:
    local_emr.create_security_configuration(Name="strict", SecurityConfiguration="{}")
    check_cluster(local_emr, no_ec2, SETTINGS, replace(DEPLOYMENT, security_configuration="strict"), prices)

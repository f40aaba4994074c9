"""The vCPUs that an account may run, held against those that a cluster may need."""

import logging
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_emr import EMRClient
from verger import tasks
from verger.cluster.quotas import ON_DEMAND_QUOTA, SPOT_QUOTA, QuotaError, VcpuNeed, check_quotas, vcpus_needed
from verger.cluster.shape import ShapeWish, choose_shape
from verger.preflight import largest_shape
from verger.prices import PriceTable, load_prices
from verger.run.deployment import Deployment
from verger.run.settings import Settings

PRICES = load_prices()
SETTINGS = Settings(bucket="fruits", region="eu-west-1", max_nodes=10, spot_share=0.5)


class Account:
    """An account with these quotas."""

    def __init__(self, **quotas: float) -> None:
        self.quotas = {ON_DEMAND_QUOTA: quotas.get("on_demand", 1e6), SPOT_QUOTA: quotas.get("spot", 1e6)}
        self.asked: list[str] = []

    def get_service_quota(self, *, ServiceCode: str, QuotaCode: str) -> Mapping[str, Any]:  # noqa: N803 -- AWS's names
        assert ServiceCode == "ec2"
        self.asked.append(QuotaCode)
        return {"Quota": {"Value": self.quotas[QuotaCode]}}


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the module itself has said: threads of earlier tests, or of libraries, may say something meanwhile."""
    return [record.getMessage() for record in caplog.records if record.name == "verger.cluster.quotas"]


def test_what_a_run_may_need_at_most_is_all_its_nodes_and_the_primary(local_emr: EMRClient) -> None:
    need = vcpus_needed(largest_shape(local_emr, SETTINGS, PRICES), PRICES)
    # Five of ten nodes On-Demand beside the primary, of four vCPUs each.
    assert need == VcpuNeed(on_demand=(5 + 1) * 4, spot=5 * 4)


@pytest.mark.parametrize(
    ("account", "words"),
    [
        (Account(on_demand=16), f"24 On-Demand vCPUs in eu-west-1, and this account may run 16.*{ON_DEMAND_QUOTA}"),
        (Account(spot=5), f"20 Spot vCPUs in eu-west-1, and this account may run 5.*{SPOT_QUOTA}"),
    ],
)
def test_an_account_that_may_run_too_few_is_told_have_and_need_and_how_to_ask_for_more(
    account: Account, words: str
) -> None:
    with pytest.raises(QuotaError, match=words) as refused:
        check_quotas(account, VcpuNeed(24, 20), "eu-west-1")
    assert "aws service-quotas request-service-quota-increase --region eu-west-1" in str(refused.value)
    assert str(refused.value).endswith(("--desired-value 24", "--desired-value 20"))


def test_enough_is_enough_and_the_log_says_have_and_need(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        check_quotas(Account(on_demand=24, spot=20), VcpuNeed(24, 20), "eu-west-1")
    assert told(caplog) == [
        "vCPUs, On-Demand: at most 24 are needed, and 24 may run in eu-west-1 at once",
        "vCPUs, Spot: at most 20 are needed, and 20 may run in eu-west-1 at once",
    ]


def test_a_run_without_spot_does_not_ask_for_spot_s_quota() -> None:
    account = Account(spot=0)
    check_quotas(account, VcpuNeed(24, 0), "eu-west-1")
    assert account.asked == [ON_DEMAND_QUOTA]


@pytest.mark.parametrize("code", ["AccessDeniedException", "NoSuchResourceException", "ServiceException"])
def test_quotas_that_nobody_tells_are_a_line_in_the_log_and_no_failure(
    code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With the SDK's own client: what it sends and what it raises is what AWS's model says."""
    client = boto3.client("service-quotas", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106 -- no secret
    with Stubber(client) as stub:
        for quota in (ON_DEMAND_QUOTA, SPOT_QUOTA):
            stub.add_client_error("get_service_quota", code, expected_params={"ServiceCode": "ec2", "QuotaCode": quota})
        check_quotas(client, VcpuNeed(24, 20), "eu-west-1")
    assert [message.split(" (")[0] for message in told(caplog)] == [
        f"the vCPU quota {ON_DEMAND_QUOTA} is not known",
        f"the vCPU quota {SPOT_QUOTA} is not known",
    ]


def test_the_sdk_s_own_answer_is_understood() -> None:
    client = boto3.client("service-quotas", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106 -- no secret
    with Stubber(client) as stub:
        stub.add_response("get_service_quota", {"Quota": {"QuotaCode": ON_DEMAND_QUOTA, "Value": 5.0}})
        with pytest.raises(QuotaError, match="may run 5 at once"):
            check_quotas(client, VcpuNeed(8, 0), "eu-west-1")


@given(
    st.sampled_from(sorted(PRICES.types)), st.integers(1, 20), st.integers(0, 20), st.floats(0, 1),
    st.integers(0, 10**9),
)  # fmt: skip
def test_no_cluster_of_a_run_needs_more_than_was_asked_for_beforehand(
    kind: str, core: int, more: int, share: float, images: int
) -> None:
    region = next(iter(PRICES.types[kind].on_demand))
    wish = ShapeWish(region, kind, core, core + more, wanted_minutes=10, spot_share=share, ebs_gb=32)
    most = vcpus_needed(choose_shape(wish, PRICES, images=10**15, rate_per_vcpu=1), PRICES)
    need = vcpus_needed(choose_shape(wish, PRICES, images=images, rate_per_vcpu=30), PRICES)
    assert need.on_demand <= most.on_demand
    assert need.spot <= most.spot


def test_the_settings_are_refused_where_the_account_is_too_small_but_not_on_this_machine(
    local_emr: EMRClient, monkeypatch: pytest.MonkeyPatch, project: Path, prices: PriceTable
) -> None:
    s3 = boto3.client("s3", endpoint_url=local_emr.meta.endpoint_url, region_name="eu-west-1")
    s3.create_bucket(Bucket="quota-fruits", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    params = {"bucket": "quota-fruits", "region": "eu-west-1"}
    context: Any = {"params": params, "run_id": "manual__1", "ti": SimpleNamespace(dag_id="fruits_features")}
    monkeypatch.setattr(tasks, "quotas_client", lambda *_: Account(on_demand=5))
    monkeypatch.setattr(tasks, "load_prices", lambda: prices)
    tasks.check_settings(Deployment(home=project), context)
    monkeypatch.setattr(tasks, "is_local_endpoint", lambda _: False)
    with pytest.raises(Exception, match="this account may run 5 at once"):
        tasks.check_settings(Deployment(home=project), context)

"""What a run cost, from all the clusters that it had."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from mypy_boto3_emr import EMRClient
from verger.cluster.clusters import lease_name, run_lease
from verger.cost.run_cost import RunFacts, cost_record, read_cluster_cost, run_clusters
from verger.mail.notification import describe_cost
from verger.prices import PriceTable
from verger.storage.layout import BucketLayout, RunLayout

RUN = RunLayout(BucketLayout("fruits"), "manual__2026-11-21T10:00:00+00:00")
LEASE = run_lease("verger", RUN.slug)


def test_every_cluster_of_the_run_counts_ended_or_not_and_no_other(
    local_emr: EMRClient, create_cluster: Callable[..., str], prices: PriceTable
) -> None:
    began = datetime.now(UTC)
    first = create_cluster(Name=lease_name(LEASE, 1))
    local_emr.terminate_job_flows(JobFlowIds=[first])
    second = create_cluster(Name=lease_name(LEASE, 2))
    create_cluster(Name="another")
    assert run_clusters(local_emr, LEASE, began) == [first, second]

    now = datetime.now(UTC) + timedelta(minutes=30)
    costs = [
        read_cluster_cost(local_emr, cluster_id, prices, region="eu-west-1", ebs_gb=32, now=now)
        for cluster_id in (first, second)
    ]
    facts = RunFacts("fruits_features", "eu-west-1", "failed", images=2000, estimate=None)
    record = cost_record(RUN, facts, costs, prices_as_of=prices.as_of, spot_prices="history", now=now)
    assert record["usd"] == pytest.approx(sum(cost.usd for cost in costs))
    assert record["usd_per_1000_images"] == pytest.approx(record["usd"] / 2)
    assert record["cluster_hours"] > 0.5  # the second one still runs
    assert record["clusters"][1]["ended_at"] is None
    assert record["spot_prices"] == "history"
    assert "by EC2's price history" in record["note"]
    text = "\n".join(describe_cost(record))
    assert first in text
    assert "estimated" not in text


def test_a_run_without_a_cluster_cost_nothing(prices: PriceTable) -> None:
    facts = RunFacts("fruits_features", "eu-west-1", "failed", images=0, estimate=None)
    record = cost_record(RUN, facts, [], prices_as_of=prices.as_of, spot_prices="none", now=datetime.now(UTC))
    assert (record["usd"], record["usd_per_1000_images"], record["cluster_hours"]) == (0, None, 0)
    assert "clusters: none" in describe_cost(record)

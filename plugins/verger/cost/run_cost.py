"""What a run really cost: reckoned when its clusters have ended, kept as `runs/<slug>/cost.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from verger.cluster.clusters import is_leased_by
from verger.cluster.shape import ROOT_VOLUME_GB
from verger.cost.reckoning import ClusterCost, SpotSource, cluster_cost, per_thousand_images
from verger.prices import PriceTable
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient

COST_FILE = "cost.json"
_SPOT_NOTES: Mapping[SpotSource, str] = {
    "history": "Spot machines are counted at the mean price of their type during the run, by EC2's price history. ",
    "typical share": "Spot machines are counted at the region's typical price. ",
    "none": "",
}
_NOTE_HERE = "The run had no cluster. Airflow's machine counts by VERGER_MACHINE_USD_HOUR, and 0 where that is not set."
#: A run's cluster is created after the run began, up to what the clocks of two machines differ.
_CLOCKS_DIFFER = timedelta(minutes=5)


def run_clusters(emr: "EMRClient", lease: str, since: datetime) -> list[str]:
    """The ids of all clusters that a run has had since it began, ended ones too, oldest first."""
    pages = emr.get_paginator("list_clusters").paginate(CreatedAfter=since - _CLOCKS_DIFFER)
    return [cluster["Id"] for page in pages for cluster in page["Clusters"] if is_leased_by(cluster["Name"], lease)][
        ::-1
    ]


def read_cluster_cost(
    emr: "EMRClient", cluster_id: str, prices: PriceTable, *, region: str, ebs_gb: int, now: datetime
) -> ClusterCost:
    """Reckon one cluster from what EMR tells of it."""
    instances = [
        instance
        for page in emr.get_paginator("list_instances").paginate(ClusterId=cluster_id)
        for instance in page["Instances"]
    ]
    steps = [step for page in emr.get_paginator("list_steps").paginate(ClusterId=cluster_id) for step in page["Steps"]]
    return cluster_cost(
        emr.describe_cluster(ClusterId=cluster_id)["Cluster"],
        instances,
        steps,
        prices,
        region=region,
        ebs_gb=ebs_gb,
        now=now,
    )


@dataclass(frozen=True)
class RunFacts:
    """What a cost record says of a run beside its cost.

    Attributes:
        dag_id: of its DAG.
        region: where its clusters ran.
        outcome: `published` or `failed`.
        images: those that it computed.
        estimate: what was estimated of a cluster before; None when there was none to estimate.
        here: the content of `here.json`; None when nothing was done on Airflow's machine.
    """

    dag_id: str
    region: str
    outcome: str
    images: int
    estimate: Mapping[str, Any] | None
    here: Mapping[str, Any] | None = None


def cost_record(
    run: RunLayout,
    facts: RunFacts,
    clusters: Sequence[ClusterCost],
    *,
    prices_as_of: date,
    spot_prices: SpotSource,
    now: datetime,
) -> dict[str, Any]:
    """The content of `cost.json` (docs/formats.md)."""
    usd = sum(cluster.usd for cluster in clusters) + (facts.here["usd"] if facts.here else 0.0)
    return {
        "format": 1,
        "run_id": run.run_id,
        "slug": run.slug,
        "dag_id": facts.dag_id,
        "region": facts.region,
        "outcome": facts.outcome,
        "counted_at": now.isoformat(timespec="seconds"),
        "images": facts.images,
        "usd": usd,
        "usd_per_1000_images": per_thousand_images(usd, facts.images),
        "cluster_hours": sum(_alive_hours(cluster, now) for cluster in clusters),
        "machine_hours": sum(machine.hours for cluster in clusters for machine in cluster.machines),
        "idle_minutes": sum(cluster.idle_minutes for cluster in clusters),
        "idle_usd": sum(cluster.idle_usd for cluster in clusters),
        "estimate": dict(facts.estimate) if facts.estimate is not None else None,
        "clusters": [cluster.to_dict() for cluster in clusters],
        "here": dict(facts.here) if facts.here is not None else None,
        "prices_as_of": prices_as_of.isoformat(),
        "spot_prices": spot_prices,
        "note": _note(spot_prices) if clusters else _NOTE_HERE,
    }


def _note(spot_prices: SpotSource) -> str:
    return (
        f"From the machines' hours and the price table, without tax. {_SPOT_NOTES[spot_prices]}"
        f"Storage is counted with a root volume of {ROOT_VOLUME_GB} GB."
    )


def _alive_hours(cluster: ClusterCost, now: datetime) -> float:
    ended = datetime.fromisoformat(cluster.ended_at) if cluster.ended_at else now
    return (ended - datetime.fromisoformat(cluster.created_at)).total_seconds() / 3600

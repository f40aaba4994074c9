"""The three clusters that are asked for, each as a run's own tasks would describe it."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from verger.cluster.clusters import lease_name, run_lease
from verger.cluster.shape import ClusterShape, assumed_rate, choose_shape, shape_wish
from verger.cluster.spec import REAPER_MINUTES, ClusterOrder, job_flow
from verger.cluster.tags import cluster_tags
from verger.cost.reckoning import Estimate, estimate_cost

if TYPE_CHECKING:
    from verger.cost.cluster_times import ClusterTimes
    from verger.prices import PriceTable
    from verger.run.deployment import Deployment
    from verger.run.settings import Settings
    from verger.storage.layout import RunLayout

IMAGES = 100
#: Drawn pictures are small.
_MEAN_BYTES = 5_000.0
#: The nodes of the cluster with the clock end this many minutes after their bootstrap action began.
CLOCK_MINUTES = REAPER_MINUTES + 1
#: A cluster that ends by itself does so in the middle of what these allow.
FORGOTTEN_IDLE_MINUTES = 1
_LONGEST_IDLE_MINUTES = 120
_RUN_IDLE_MINUTES = 30
#: The reaper's tag, and the own clock of the clusters that are to end otherwise.
ALLOWED_HOURS = 2.0
#: Two small steps beside featurize and pca, and a wait for EMR to push a log.
_BESIDE_THE_RUN_MINUTES = 10


class Part(enum.StrEnum):
    """A cluster and the probes that it answers."""

    RUN = "run"
    FORGOTTEN = "forgotten"
    CLOCK = "clock"


@dataclass(frozen=True)
class Planned:
    """A cluster that is to be created.

    Attributes:
        part: what it is for.
        settings: as a run's params would be.
        shape: its machines.
        estimate: what it could cost.
        allowed_hours: its own clock.
    """

    part: Part
    settings: Settings
    shape: ClusterShape
    estimate: Estimate
    allowed_hours: float

    def name(self, lease: str) -> str:
        """Its name; all of one program's share the lease."""
        return lease_name(lease, list(Part).index(self.part) + 1)


def plan(part: Part, settings: Settings, prices: PriceTable, times: ClusterTimes) -> Planned:
    """One cluster; `settings` say where and which type. Raises UnknownInstanceTypeError or ShapeError."""
    if part is Part.RUN:
        chosen = replace(settings, core_nodes=1, max_nodes=2, spot_share=1.0, idle_minutes=_RUN_IDLE_MINUTES)
        held, hours, images = _BESIDE_THE_RUN_MINUTES, ALLOWED_HOURS, IMAGES
    elif part is Part.FORGOTTEN:
        chosen = replace(settings, core_nodes=1, max_nodes=1, spot_share=0.0, idle_minutes=FORGOTTEN_IDLE_MINUTES)
        held, hours, images = 2 * FORGOTTEN_IDLE_MINUTES, ALLOWED_HOURS, 0
    else:
        chosen = replace(settings, core_nodes=1, max_nodes=1, spot_share=0.0, idle_minutes=_LONGEST_IDLE_MINUTES)
        held, hours, images = CLOCK_MINUTES, (CLOCK_MINUTES - REAPER_MINUTES) / 60, 0
    shape = _shape(chosen, prices)
    rate = assumed_rate(_MEAN_BYTES)
    estimate = estimate_cost(
        shape, prices, images_todo=images, images=images, rate_per_vcpu=rate, held_minutes=held, times=times
    )
    return Planned(part, chosen, shape, estimate, hours)


def _shape(settings: Settings, prices: PriceTable) -> ClusterShape:
    """As many nodes as the settings allow, as a run has that does more pictures than those."""
    rate = assumed_rate(_MEAN_BYTES)
    a_node_s_share = rate * prices.instance_type(settings.instance_type, settings.region).vcpus
    many = math.ceil(a_node_s_share * settings.wanted_minutes * 60 * settings.max_nodes)
    return choose_shape(shape_wish(settings), prices, images=many, rate_per_vcpu=rate)


def lease_of(deployment: Deployment, run: RunLayout) -> str:
    """What the names of this program's clusters share."""
    return run_lease(deployment.name, run.slug)


def request(
    planned: Planned, deployment: Deployment, run: RunLayout, code_uri: str, prices: PriceTable
) -> dict[str, Any]:
    """The cluster as RunJobFlow takes it."""
    tags = cluster_tags(
        installation=deployment.name,
        # Without a DAG's id the reaper goes by the time alone: Airflow knows nothing of this run.
        dag_id="",
        run_id=run.run_id,
        end_by=datetime.now(UTC) + timedelta(hours=ALLOWED_HOURS),
    )
    order = ClusterOrder(planned.name(lease_of(deployment, run)), code_uri, planned.shape, tags, planned.allowed_hours)
    return job_flow(planned.settings, deployment, run.layout, order, prices)

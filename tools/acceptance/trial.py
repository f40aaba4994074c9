"""What every part of the trial shares, and the first minutes of each cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tools.acceptance.answers import has_our_tag
from tools.acceptance.keeper import minutes_between
from tools.acceptance.orders import request
from tools.acceptance.probes import Probe

if TYPE_CHECKING:
    from verger.cost.cluster_times import ClusterTimes
    from verger.prices import PriceTable
    from verger.run.deployment import Deployment
    from verger.storage.layout import RunLayout

    from tools.acceptance.keeper import Keeper
    from tools.acceptance.orders import Planned
    from tools.acceptance.preparation import Prepared

#: How long a new cluster's tags are waited for; the provider's own DescribeCluster does not wait at all.
TAG_SECONDS = 120
#: Longer than the estimates' assumption is worth to be told.
READY_MINUTES = 15


@dataclass
class Trial:
    """One program's work.

    Attributes:
        keeper: its clusters.
        deployment: the installation.
        run: the paths of what it leaves in the bucket.
        prepared: what the clusters read.
        prices: the price table.
        times: what the estimates reckon with so far.
        local: whether EMR is a server of this machine.
        startup_minutes: of each cluster that became ready.
        ending_minutes: from the last step's end to the end of the cluster; None while unknown.
        probes: all of them, in order.
    """

    keeper: Keeper
    deployment: Deployment
    run: RunLayout
    prepared: Prepared
    prices: PriceTable
    times: ClusterTimes
    local: bool
    startup_minutes: list[float] = field(default_factory=list)
    ending_minutes: float | None = None
    probes: list[Probe] = field(default_factory=list)

    def probe(self, name: str, expectation: str, *, only_aws: bool) -> Probe:
        """One more expectation; `only_aws` where a local EMR's answer would say nothing."""
        made = Probe(name, expectation, only_aws, self.local)
        self.probes.append(made)
        return made

    def create(self, planned: Planned) -> str:
        """Create a planned cluster."""
        made = request(planned, self.deployment, self.run, self.prepared.code_uri, self.prices)
        return self.keeper.create(planned, made)

    def wait_until_ready(self, cluster_id: str) -> float:
        """The minutes until the cluster took steps. Raises WaitError when it ended instead."""
        timeline: dict[str, Any] = self.keeper.wait_until_ready(cluster_id)["Status"]["Timeline"]
        minutes = minutes_between(timeline["CreationDateTime"], timeline["ReadyDateTime"])
        self.startup_minutes.append(minutes)
        return minutes


def look_for_tags(trial: Trial, cluster_id: str, probe: Probe) -> None:
    """How soon after RunJobFlow DescribeCluster answers, and shows the tags by which IAM allows it."""
    began = time.monotonic()
    refused: str | None = None
    while (passed := time.monotonic() - began) < TAG_SECONDS:
        try:
            tagged = has_our_tag(trial.keeper.cluster(cluster_id))
        except ClientError as error:
            refused = refused or f"first {error.response['Error']['Code']}, then "
        else:
            if tagged:
                seen = f"{refused or ''}an answer with the tags {passed:.0f} s after RunJobFlow"
                probe.tell(seen, good=refused is None, cluster=cluster_id)
                return
        time.sleep(1)
    words = "refused all the time" if refused else "an answer, but without the tags"
    probe.tell(f"{words}, for {TAG_SECONDS} s", good=False, cluster=cluster_id)

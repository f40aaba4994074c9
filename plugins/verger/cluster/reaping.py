"""Ends clusters that should be over: the net below each run's own teardown and below EMR's idle time-out."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from verger.cluster.clusters import USABLE, allow_ending
from verger.cluster.stall import Stall
from verger.cluster.tags import OwnCluster, own_cluster

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient

log = logging.getLogger(__name__)

#: Asks Airflow how many runs with this DAG id and run id are queued or running; None when it cannot tell.
CountAliveRuns = Callable[[str, str], int | None]
#: Asks how long the running step of a cluster in a region stands still; None when none does or it cannot be told.
FindStall = Callable[[str, str], Stall | None]

#: What a role answers that may only see clusters with our tag, or a region that the account has not opened.
_NOT_OURS = frozenset({"AccessDeniedException", "AccessDenied"})
_NOT_OPEN = frozenset({"UnrecognizedClientException", "AuthFailure", "InvalidClientTokenId", "OptInRequired"})


class ReapingError(RuntimeError):
    """Some cluster could not be looked at or ended; the others were."""


@dataclass(frozen=True)
class Judge:
    """What decides whether a cluster may stay.

    Attributes:
        installation: whose runs Airflow knows.
        now: the time.
        grace: a younger cluster stays: its run may have just ended, and is ending it itself. And for so much longer
            than a step may stand still, its own run has the time to give it up.
        count_alive_runs: asks Airflow.
        find_stall: asks EMR and S3.
    """

    installation: str
    now: datetime
    grace: timedelta
    count_alive_runs: CountAliveRuns
    find_stall: FindStall

    def reason_to_end(self, cluster: OwnCluster, region: str) -> str | None:
        """Why a cluster has to go; None when it may stay."""
        if self.now >= cluster.end_by:
            return f"it was to be over by {cluster.end_by:%Y-%m-%d %H:%M} UTC"
        # Another installation's Airflow knows its own runs; ours would take each of them for gone.
        if cluster.installation != self.installation or not cluster.dag_id or not cluster.run_id:
            return None
        if self.now - cluster.created_at < self.grace:
            return None
        if self.count_alive_runs(cluster.dag_id, cluster.run_id) == 0:
            return f"its run {cluster.run_id} of {cluster.dag_id} is over, or Airflow does not know it"
        return self._reason_of_stall(cluster, region)

    def _reason_of_stall(self, cluster: OwnCluster, region: str) -> str | None:
        if not cluster.end_stalled_minutes or cluster.state != "RUNNING":
            return None
        stall = self.find_stall(region, cluster.cluster_id)
        if stall is None or stall.lasts < timedelta(minutes=cluster.end_stalled_minutes) + self.grace:
            return None
        return f"its step {stall.describe()}, and its run, which allows {cluster.end_stalled_minutes} min, left it"


@dataclass(frozen=True)
class Reaped:
    """A cluster that was told to end, and why."""

    cluster_id: str
    name: str
    region: str
    run_id: str
    age_hours: float
    reason: str


def usable_clusters(emr: "EMRClient") -> Iterator[str]:
    """The ids of the clusters that still take steps; those that end already are left to it."""
    for page in emr.get_paginator("list_clusters").paginate(ClusterStates=list(USABLE)):
        yield from (listed["Id"] for listed in page["Clusters"])


def look_at(emr: "EMRClient", cluster_id: str) -> OwnCluster | None:
    """A cluster with our tag; None for somebody else's."""
    try:
        return own_cluster(emr.describe_cluster(ClusterId=cluster_id)["Cluster"])
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_OURS:
            raise
        log.info("%s is not ours to look at: %s", cluster_id, error)
        return None


def reap(emr: "EMRClient", region: str, judge: Judge) -> tuple[list[Reaped], list[str]]:
    """End what has to go in one region; returns what was ended, and what went wrong with the others."""
    reaped: list[Reaped] = []
    problems: list[str] = []
    for cluster_id in usable_clusters(emr):
        try:
            cluster = look_at(emr, cluster_id)
        except (BotoCoreError, ClientError) as error:
            problems.append(f"{cluster_id} in {region} could not be looked at: {error}")
            continue
        if cluster is None:
            continue
        reason = judge.reason_to_end(cluster, region)
        if reason is None:
            log.info("%s (%s) in %s may stay until %s", cluster.cluster_id, cluster.name, region, cluster.end_by)
            continue
        try:
            _end(emr, cluster.cluster_id)
        except (BotoCoreError, ClientError) as error:
            problems.append(f"{cluster.cluster_id} in {region} could not be ended: {error}")
            continue
        log.warning("ending %s (%s) in %s: %s", cluster.cluster_id, cluster.name, region, reason)
        age_hours = (judge.now - cluster.created_at).total_seconds() / 3600
        reaped.append(Reaped(cluster.cluster_id, cluster.name, region, cluster.run_id, age_hours, reason))
    return reaped, problems


def _end(emr: "EMRClient", cluster_id: str) -> None:
    allow_ending(emr, cluster_id)
    emr.terminate_job_flows(JobFlowIds=[cluster_id])


def reap_regions(
    regions: Iterable[str], home_region: str, client: Callable[[str], "EMRClient"], judge: Judge
) -> tuple[list[Reaped], list[str]]:
    """End what has to go in every region; one that the account may not use is passed over, except our own."""
    reaped: list[Reaped] = []
    problems: list[str] = []
    for region in regions:
        try:
            ended, wrong = reap(client(region), region, judge)
        except (BotoCoreError, ClientError) as error:
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
            if region != home_region and code in _NOT_OURS | _NOT_OPEN:
                log.info("%s is not open to this account: %s", region, code)
            else:
                problems.append(f"{region} could not be looked at: {error}")
            continue
        reaped += ended
        problems += wrong
    return reaped, problems


def check_problems(problems: Sequence[str]) -> None:
    """Raise ReapingError when something went wrong, so that the task is tried again and shows red."""
    if problems:
        raise ReapingError("; ".join(problems))

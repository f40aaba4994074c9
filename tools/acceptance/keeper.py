"""Creates clusters, watches them with the budget in view, and ends every one of them."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from verger.cluster.clusters import USABLE, ClusterAliveError, allow_ending, find_named, terminate_leased
from verger.cluster.reaping import look_at, usable_clusters
from verger.cluster.single_calls import make_once
from verger.cluster.step_logs import StepLog, read_log, step_log_address

from tools.acceptance.spending import Bought

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_emr import EMRClient
    from mypy_boto3_s3 import S3Client
    from verger_rules.addresses import S3Address

    from tools.acceptance.interruption import Interruption
    from tools.acceptance.orders import Planned
    from tools.acceptance.spending import Budget

log = logging.getLogger(__name__)

OVER = ("TERMINATED", "TERMINATED_WITH_ERRORS")
_STEP_OVER = ("COMPLETED", "CANCELLED", "FAILED", "INTERRUPTED")
_READY_SECONDS = 3600
_STEP_SECONDS = 1800
_ENDING_SECONDS = 900
#: A cluster that is being ended costs money until it has ended: no error of the API is a reason to stop asking.
_ENDING_PAUSES = (2, 5, 10, 30, 60, 60, 60)


class WaitError(RuntimeError):
    """Something did not happen in its time, or cannot happen any more."""


@dataclass
class Keeper:
    """The clusters of one program.

    Attributes:
        s3: a client.
        emr: a client.
        emr_once: a client that repeats no call.
        budget: what they may cost together.
        interruption: what signals do.
        poll_seconds: between two looks.
        created: the ids of those that were created.
    """

    s3: S3Client
    emr: EMRClient
    emr_once: EMRClient
    budget: Budget
    interruption: Interruption
    poll_seconds: float
    created: list[str] = field(default_factory=list)

    def create(self, planned: Planned, request: dict[str, Any]) -> str:
        """Create a cluster, once; its id. Raises OverBudgetError, ClientError, Stopped."""
        self.budget.check_affordable(planned.estimate)
        bought = partial(Bought, usd_hour=planned.estimate.usd_hour_on_demand, ebs_gb=planned.shape.ebs_gb)

        def make() -> str:
            with self.interruption.shield():
                cluster_id = self.emr_once.run_job_flow(**request)["JobFlowId"]
                self.created.append(cluster_id)
                self.budget.buy(bought(cluster_id))
            return cluster_id

        cluster_id = make_once(partial(find_named, self.emr, request["Name"]), make)
        if cluster_id not in self.created:  # by a call whose answer was lost
            self.created.append(cluster_id)
            self.budget.buy(bought(cluster_id))
        log.info("cluster %s is created: %s", cluster_id, request["Name"])
        return cluster_id

    def cluster(self, cluster_id: str) -> dict[str, Any]:
        """DescribeCluster."""
        return dict(self.emr.describe_cluster(ClusterId=cluster_id)["Cluster"])

    def state(self, cluster_id: str) -> str:
        """EMR's word for a cluster's state."""
        return str(self.cluster(cluster_id)["Status"]["State"])

    def instances(self, cluster_id: str) -> list[dict[str, Any]]:
        """Every machine that the cluster has had."""
        pages = self.emr.get_paginator("list_instances").paginate(ClusterId=cluster_id)
        return [dict(instance) for page in pages for instance in page["Instances"]]

    def pause(self) -> None:
        """Wait for the next look; raises Stopped when the budget is used up."""
        self.interruption.check()
        self.budget.check()
        time.sleep(self.poll_seconds)

    def _wait(self, is_over: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not is_over():
            if time.monotonic() > end:
                raise WaitError(f"{what} not within {seconds / 60:.0f} min")
            self.pause()

    def wait_until_ready(self, cluster_id: str) -> dict[str, Any]:
        """The cluster as soon as it takes steps. Raises WaitError when it ends instead."""

        def is_decided() -> bool:
            status = self.cluster(cluster_id)["Status"]
            return "ReadyDateTime" in status["Timeline"] or status["State"] not in USABLE

        self._wait(is_decided, _READY_SECONDS, "ready")
        cluster = self.cluster(cluster_id)
        if cluster["Status"]["State"] not in USABLE:
            raise WaitError(f"it did not become ready: {reason_of(cluster)}")
        return cluster

    def wait_until_over(self, cluster_id: str, seconds: float) -> dict[str, Any]:
        """The cluster once it has ended by itself. Raises WaitError when it does not."""
        self._wait(lambda: self.state(cluster_id) in OVER, seconds, f"{cluster_id} has ended")
        return self.cluster(cluster_id)

    def run_step(self, cluster_id: str, step: dict[str, Any]) -> dict[str, Any]:
        """Add a step and wait until it is over; the step as DescribeStep tells it. Raises WaitError, ClientError."""
        (step_id,) = self.emr_once.add_job_flow_steps(JobFlowId=cluster_id, Steps=[step])["StepIds"]  # type: ignore[list-item] # spark_step's
        log.info("step %s: %s", step_id, step["Name"])

        def described() -> dict[str, Any]:
            return dict(self.emr.describe_step(ClusterId=cluster_id, StepId=step_id)["Step"])

        self._wait(lambda: described()["Status"]["State"] in _STEP_OVER, _STEP_SECONDS, f"step {step['Name']} is over")
        return described()

    def log_address(self, cluster_id: str, step: dict[str, Any], name: str) -> S3Address:
        """Where EMR puts a step's log."""
        return step_log_address(self.cluster(cluster_id)["LogUri"], cluster_id, step["Id"], name)

    def wait_for_log(self, address: S3Address, is_it: Callable[[StepLog], bool], seconds: float) -> StepLog | None:
        """A log as soon as it is as it should be; None when it is not within that time."""
        end = time.monotonic() + seconds
        while True:
            found = read_log(self.s3, address)
            if found is not None and is_it(found):
                return found
            if time.monotonic() > end:
                return None
            self.pause()

    def end_so_far(self, lease: str) -> None:
        """End what a part left alive before the next one begins; what cannot be ended now is ended at the end."""
        try:
            terminate_leased(self.emr, lease, poll_seconds=min(10, self.poll_seconds), patience_seconds=_ENDING_SECONDS)
        except (BotoCoreError, ClientError, ClusterAliveError) as error:
            log.warning("ending the clusters: %s", error)

    def end_all(self, lease: str, run_id: str) -> list[str]:
        """End every cluster, whatever the API answers meanwhile; the ids of those that may be alive all the same."""
        self.interruption.now_ending()
        left = list(self.created)
        for pause in (*_ENDING_PAUSES, None):
            try:
                self._end(lease, run_id)
                left = [cluster_id for cluster_id in self.created if self.state(cluster_id) not in OVER]
            except (BotoCoreError, ClientError, ClusterAliveError) as error:
                log.warning("ending the clusters: %s", error)
            else:
                if not left:
                    return []
            if pause is not None:
                time.sleep(pause)
        return left or [f"a cluster of the name {lease}-try*"]

    def _end(self, lease: str, run_id: str) -> None:
        """By id, by name, and by tag: EMR may list a new cluster a moment late."""
        for cluster_id in self.created:
            if self.state(cluster_id) in USABLE:
                self._tell_to_end(cluster_id)
        terminate_leased(self.emr, lease, poll_seconds=min(10, self.poll_seconds), patience_seconds=_ENDING_SECONDS)
        for cluster_id in usable_clusters(self.emr):
            own = look_at(self.emr, cluster_id)
            if own is not None and own.run_id == run_id:
                log.warning("%s carries this run's tag and is alive: ending it", cluster_id)
                self.created.append(cluster_id)
                self._tell_to_end(cluster_id)

    def _tell_to_end(self, cluster_id: str) -> None:
        allow_ending(self.emr, cluster_id)
        self.emr.terminate_job_flows(JobFlowIds=[cluster_id])


def reason_of(cluster: dict[str, Any]) -> str:
    """A cluster's state and why, in EMR's words."""
    reason = cluster["Status"].get("StateChangeReason", {})
    return " ".join(filter(None, [cluster["Status"]["State"], reason.get("Code"), reason.get("Message")]))


def minutes_between(begin: datetime, end: datetime) -> float:
    """Minutes, with a fraction."""
    return (end - begin).total_seconds() / 60

"""The first cluster: a run on two nodes, one of them Spot, and a step that fails."""

from __future__ import annotations

import io
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError
from verger.cluster.spark_properties import spark_properties
from verger.cluster.step_logs import CONTROLLER, LOG_NAMES, cause_of
from verger.cluster.steps import FEATURIZE, PCA, SHOW_EXECUTORS, featurize_arguments, pca_arguments, spark_step
from verger.publish.reconciliation import collect_counts, reconcile
from verger.storage.json_objects import read_json
from verger.storage.layout import RunLayout

from tools.acceptance.answers import WantedExecutors, judge_executors, judge_spot, read_executors
from tools.acceptance.keeper import WaitError, minutes_between, reason_of
from tools.acceptance.orders import IMAGES
from tools.acceptance.trial import READY_MINUTES, look_for_tags

if TYPE_CHECKING:
    from datetime import datetime

    from verger.cluster.step_logs import StepLog

    from tools.acceptance.orders import Planned
    from tools.acceptance.probes import Probe
    from tools.acceptance.trial import Trial

log = logging.getLogger(__name__)

#: EMR pushes the logs of a cluster that goes on every five minutes (EMR's guide, "View log files").
LOG_MINUTES = 6
_LOG_PATIENCE_SECONDS = 600
_ENDING_MINUTES = 10
#: S3 tells whole seconds, and its clock is not EMR's.
_CLOCKS_DIFFER = timedelta(seconds=5)


class RunPart:
    """The probes of the first cluster. All of them are there from the start, so that none is left out of the table."""

    def __init__(self, trial: Trial, planned: Planned) -> None:
        self.trial, self.planned, self.keeper = trial, planned, trial.keeper
        workers = planned.shape.worker_units
        self.wanted = WantedExecutors.of(spark_properties(planned.shape, trial.prices), workers)
        times, probe = trial.times, trial.probe
        self.tags = probe("tag lag", "DescribeCluster answers right after RunJobFlow, with the tags", only_aws=True)
        self.start = probe(
            "start", f"ready within {READY_MINUTES} min; the estimates say {times.startup_minutes:.1f}", only_aws=True
        )
        self.spot = probe("Spot nodes", self._expected_spot(), only_aws=True)
        self.executors = probe("executors", str(self.wanted), only_aws=True)
        self.run = probe("run", f"{IMAGES} pictures in, {IMAGES} rows out", only_aws=False)
        self.log = probe("log, cluster goes on", f"on S3 within {LOG_MINUTES} min of the step's end", only_aws=True)
        self.failing = probe("failing step", "FAILED, its cause in its log, and the cluster ends", only_aws=False)
        self.last_log = probe("log, cluster ends", f"on S3 within {LOG_MINUTES} min of the step's end", only_aws=True)
        self.end = probe(
            "end",
            f"over within {_ENDING_MINUTES} min of the last step; the estimates say {times.ending_minutes:.1f}",
            only_aws=True,
        )

    def _expected_spot(self) -> str:
        units = self.planned.shape.task.spot if self.planned.shape.task else 0
        security = self.trial.deployment.security_configuration
        return f"{units} Spot node runs" + (f", its disks encrypted ({security})" if security else "")

    def answer(self) -> None:
        """Ask everything; raises Stopped."""
        cluster_id = self._create()
        if cluster_id is None:
            return
        self._look_at_machines(cluster_id)
        shown = self._step(cluster_id, spark_step(SHOW_EXECUTORS, self.trial.prepared.code_uri, []))
        last = self._run_steps(cluster_id) or shown
        with self.log.attempt():
            self._measure_log(cluster_id, last)
        with self.executors.attempt():
            self._judge_executors(cluster_id, shown)
        self._fail_a_step(cluster_id)

    def _create(self) -> str | None:
        """The cluster's id once it takes steps; None when it does not."""
        cluster_id = None
        with self.tags.attempt():
            cluster_id = self.trial.create(self.planned)
            look_for_tags(self.trial, cluster_id, self.tags)
        if cluster_id is None:
            return None
        ready = False
        with self.start.attempt():
            minutes = self.trial.wait_until_ready(cluster_id)
            self.start.tell(f"{minutes:.1f} min", good=minutes <= READY_MINUTES, cluster=cluster_id)
            ready = True
        return cluster_id if ready else None

    def _look_at_machines(self, cluster_id: str) -> None:
        with self.spot.attempt():
            instances = self.keeper.instances(cluster_id)
            ids = [instance["Ec2InstanceId"] for instance in instances if instance.get("Market") == "SPOT"]
            volumes = None if self.trial.local else look_at_volumes(self.planned.shape.region, ids)
            security = self.keeper.cluster(cluster_id).get("SecurityConfiguration")
            seen, good = judge_spot(instances, volumes, security)
            self.spot.tell(seen, good=good, cluster=cluster_id, instances=" ".join(ids))

    def _step(self, cluster_id: str, step: dict[str, Any]) -> dict[str, Any] | None:
        """Run a step whose failure is another probe's to tell; None when it could not be run."""
        try:
            return self.keeper.run_step(cluster_id, {**step, "ActionOnFailure": "CONTINUE"})
        except (BotoCoreError, ClientError, WaitError) as error:
            log.warning("step %s: %s", step["Name"], error)
            return None

    def _run_steps(self, cluster_id: str) -> dict[str, Any] | None:
        """Featurize and pca, and whether the counts agree; the last of them that ran."""
        trial, settings = self.trial, self.planned.settings
        code, model = trial.prepared.code_uri, trial.prepared.model
        last = None
        with self.run.attempt():
            for name, arguments in (
                (FEATURIZE, featurize_arguments(settings, trial.run, model)),
                (PCA, pca_arguments(settings, trial.run, model)),
            ):
                step = {**spark_step(name, code, arguments), "ActionOnFailure": "CONTINUE"}
                last = self.keeper.run_step(cluster_id, step)
                self.run.evidence[name] = last["Id"]
                if last["Status"]["State"] != "COMPLETED":
                    self.run.tell(f"{name} ended as {last['Status']['State']}: {_why(last)}", good=False)
                    return last
            counts = reconcile(collect_counts(*self._outputs()))
            seen = f"{counts.listed} pictures in, {counts.matrix_rows} rows out, {counts.rejected} rejected"
            good = counts.listed == counts.matrix_rows == IMAGES
            self.run.tell(seen, good=good, results=trial.run.results_uri)
        return last

    def _outputs(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], int]:
        run, s3 = self.trial.run, self.keeper.s3
        plan, featurize, pca = (
            read_json(s3, run.run_file(name)) or {} for name in ("plan.json", "featurize.json", "pca.json")
        )
        matrix = run.result_file("matrix.parquet")
        body = s3.get_object(Bucket=matrix.bucket, Key=matrix.key)["Body"].read()
        return plan, featurize, pca, pq.ParquetFile(io.BytesIO(body)).metadata.num_rows

    def _measure_log(self, cluster_id: str, step: dict[str, Any] | None) -> None:
        """How long after a step's end EMR's own account of it is on S3."""
        if step is None:
            self.log.not_reached("no step ran")
            return
        ended: datetime = step["Status"]["Timeline"]["EndDateTime"]
        address = self.keeper.log_address(cluster_id, step, CONTROLLER)

        def is_last(found: StepLog) -> bool:
            return found.written_at >= ended - _CLOCKS_DIFFER

        found = self.keeper.wait_for_log(address, is_last, _LOG_PATIENCE_SECONDS)
        tell_delay(self.log, ended, found, address.uri)

    def _judge_executors(self, cluster_id: str, step: dict[str, Any] | None) -> None:
        if step is None:
            self.executors.not_reached("the step could not be run")
            return
        address = self.keeper.log_address(cluster_id, step, LOG_NAMES[0])
        if step["Status"]["State"] != "COMPLETED":
            seen = f"the step ended as {step['Status']['State']}: {_why(step)}"
            self.executors.tell(seen, good=False, step=step["Id"], log=address.uri)
            return
        text = self.keeper.wait_for_log(address, lambda log: bool(read_executors(log.text)), _LOG_PATIENCE_SECONDS)
        found = read_executors(text.text) if text else None
        if found is None:
            self.executors.tell("nothing in the step's log", good=False, step=step["Id"], log=address.uri)
            return
        seen, good = judge_executors(self.wanted, found)
        self.executors.tell(seen, good=good, step=step["Id"], log=address.uri)

    def _fail_a_step(self, cluster_id: str) -> None:
        """Featurize a list that does not exist, as a run's own step: that ends the cluster."""
        nowhere = RunLayout(self.trial.run.layout, f"{self.trial.run.run_id}__nowhere")
        arguments = featurize_arguments(self.planned.settings, nowhere, self.trial.prepared.model)
        step = {**spark_step(FEATURIZE, self.trial.prepared.code_uri, arguments), "Name": "fails on purpose"}
        with self.failing.attempt():
            done = self.keeper.run_step(cluster_id, step)
            ended = done["Status"]["Timeline"]["EndDateTime"]
            address = self.keeper.log_address(cluster_id, done, LOG_NAMES[0])
            found = self.keeper.wait_for_log(address, lambda log: bool(cause_of(log.text)), _LOG_PATIENCE_SECONDS)
            tell_delay(self.last_log, ended, found, address.uri)
            cluster = self.keeper.wait_until_over(cluster_id, _LOG_PATIENCE_SECONDS)
            cause = (cause_of(found.text) if found else None) or "no cause in its log"
            state = done["Status"]["State"]
            seen = f"{state}: {cause}; the cluster is {reason_of(cluster)}"
            good = state == "FAILED" and found is not None and cluster["Status"]["State"] == "TERMINATED_WITH_ERRORS"
            self.failing.tell(seen, good=good, step=done["Id"], log=address.uri)
            minutes = minutes_between(ended, cluster["Status"]["Timeline"]["EndDateTime"])
            self.trial.ending_minutes = minutes
            self.end.tell(f"{minutes:.1f} min", good=minutes <= _ENDING_MINUTES, cluster=cluster_id)


def tell_delay(probe: Probe, ended: datetime, found: StepLog | None, address: str) -> None:
    """How long a log took to come, in minutes."""
    if found is None:
        probe.tell(f"not within {_LOG_PATIENCE_SECONDS // 60} min", good=False, log=address)
        return
    minutes = max(0.0, minutes_between(ended, found.written_at))
    probe.tell(f"{minutes:.1f} min after the step's end", good=minutes <= LOG_MINUTES, log=address)


def look_at_volumes(region: str, instance_ids: list[str]) -> list[dict[str, Any]] | None:
    """The disks of machines as EC2 describes them; None where that is not allowed."""
    ec2 = boto3.client("ec2", region_name=region)
    try:
        pages = ec2.get_paginator("describe_volumes").paginate(
            Filters=[{"Name": "attachment.instance-id", "Values": instance_ids}]
        )
        return [dict(volume) for page in pages for volume in page["Volumes"]]
    except (BotoCoreError, ClientError) as error:
        log.warning("the disks cannot be looked at: %s", error)
        return None


def _why(step: dict[str, Any]) -> str:
    details = step["Status"].get("FailureDetails", {})
    said = details.get("Message") or details.get("Reason") or step["Status"].get("StateChangeReason", {}).get("Message")
    return str(said or "EMR gives no reason")

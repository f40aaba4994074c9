"""What the tasks of `reap_clusters` and `cost_report` do."""

import logging
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from verger.cluster.reaping import CountAliveRuns, Judge, check_problems, reap_regions
from verger.cluster.stall import Stall
from verger.cluster.step_signs import read_progress, read_stall, running_step
from verger.cost.billing import read_bill
from verger.cost.report import make_report, read_cost_records, report_csv, report_html, report_mail
from verger.mail import notification
from verger.run.deployment import Deployment
from verger.run.eu_guard import EU_REGIONS
from verger.storage.aws_clients import cost_explorer_client, emr_client, s3_client, sns_client
from verger.storage.byte_objects import put_bytes
from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

_ALIVE_RUN_STATES = ["queued", "running"]
_REPORTED = timedelta(days=7)


def reap_clusters(deployment: Deployment, context: "Context") -> list[dict[str, Any]]:
    """End every cluster of ours that has to go, and send a mail for each; returns them."""
    reaped, problems = reap_regions(
        EU_REGIONS,
        deployment.region,
        lambda region: emr_client(deployment.aws_conn_id, region),
        Judge(
            installation=deployment.name,
            now=datetime.now(UTC),
            grace=timedelta(minutes=deployment.grace_minutes),
            count_alive_runs=_count_alive_runs(context),
            find_stall=partial(_find_stall, deployment),
        ),
    )
    for cluster in reaped:
        send_mail(deployment, notification.reaped_mail(**asdict(cluster)))
    if not reaped:
        log.info("no cluster had to be ended")
    check_problems(problems)
    return [asdict(cluster) for cluster in reaped]


def _count_alive_runs(context: "Context") -> CountAliveRuns:
    def count(dag_id: str, run_id: str) -> int | None:
        try:
            # Airflow answers through the task's own channel: tasks have no access to its database.
            return context["ti"].get_dr_count(dag_id=dag_id, run_ids=[run_id], states=_ALIVE_RUN_STATES)
        except Exception:  # the channel's errors are many, and none may end a cluster that works
            log.exception(
                "Airflow could not tell whether the run %s of %s is alive: it counts as alive", run_id, dag_id
            )
            return None

    return count


def _find_stall(deployment: Deployment, region: str, cluster_id: str) -> Stall | None:
    """How long the running step of a cluster stands still; None when none runs or S3 or EMR do not tell."""
    try:
        work = running_step(emr_client(deployment.aws_conn_id, region), cluster_id)
        if work is None:
            return None
        s3 = s3_client(deployment.aws_conn_id, region)
        return read_stall(s3, work, read_progress(s3, work.progress), timedelta(0))
    except Exception:  # what cannot be read says nothing about the step, and its age counts all the same
        log.exception("the progress of cluster %s cannot be read: it counts as at work", cluster_id)
        return None


def report_costs(deployment: Deployment, end: datetime) -> list[str]:
    """Write the report of the week up to `end` to the bucket and mail it; returns the addresses of its files."""
    if not deployment.bucket:
        raise AirflowSkipException(
            "the installation has no bucket of its own (VERGER_BUCKET): there is nothing to report"
        )
    s3 = s3_client(deployment.aws_conn_id, deployment.region)
    layout = BucketLayout(deployment.bucket)
    start = end - _REPORTED
    # Cost Explorer counts whole days, and the last one is not over.
    bill = read_bill(cost_explorer_client(deployment.aws_conn_id), start.date(), end.date())
    report = make_report(read_cost_records(s3, layout, start, end), bill, start, end)
    addresses = []
    for name, body, content_type in (
        ("costs.csv", report_csv(report), "text/csv; charset=utf-8"),
        ("costs.html", report_html(report), "text/html; charset=utf-8"),
    ):
        address = layout.report_file(end.date(), name)
        put_bytes(s3, address, body, content_type)
        addresses.append(address.uri)
    mail = report_mail(report, addresses)
    log.info("%s", mail.body)
    send_mail(deployment, mail)
    return addresses


def send_mail(deployment: Deployment, mail: notification.Mail) -> bool:
    """Send a mail to the installation's topic, if it has one; never raises."""
    try:
        sns = sns_client(deployment.aws_conn_id, deployment.region) if deployment.topic_arn else None
        return notification.send(sns, deployment.topic_arn, mail)
    except Exception:  # a mail is a courtesy, and what it tells stands in the log as well
        log.exception("the mail %r could not be sent", mail.subject)
        return False

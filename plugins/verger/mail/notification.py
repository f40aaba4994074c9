"""Mails through SNS: their texts, and a way to send them that never fails a run."""

import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from verger.cluster.progress import describe_seconds

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

log = logging.getLogger(__name__)

#: SNS: a subject is ASCII, on one line, of at most 100 characters; a message has at most 256 KiB.
_LONGEST_SUBJECT = 100
_LONGEST_BODY_BYTES = 200_000
_MOST_WARNINGS = 10


@dataclass(frozen=True)
class Mail:
    """A mail as SNS takes it."""

    subject: str
    body: str


def compose(subject: str, lines: Sequence[str]) -> Mail:
    """A mail with a subject and a body that SNS accepts, whatever is put into them."""
    body = "\n".join(lines).encode()[:_LONGEST_BODY_BYTES].decode("utf-8", "ignore")
    return Mail(subject_line(f"Verger: {subject}"), body)


def subject_line(text: str) -> str:
    """The text as a mail's subject: ASCII, one line, at most 100 characters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    one_line = re.sub(r"[\s\x00-\x1f\x7f]+", " ", plain).strip()
    if len(one_line) <= _LONGEST_SUBJECT:
        return one_line
    return f"{one_line[: _LONGEST_SUBJECT - 3].rstrip()}..."


def send(sns: "SNSClient | None", topic_arn: str | None, mail: Mail) -> bool:
    """Send a mail; returns whether it went out, and says in the log why not. Never raises for AWS's sake."""
    if sns is None or not topic_arn:
        log.info("no mail %r: the installation has no topic (VERGER_TOPIC_ARN)", mail.subject)
        return False
    try:
        sns.publish(TopicArn=topic_arn, Subject=mail.subject, Message=mail.body)
    except (BotoCoreError, ClientError) as error:
        log.warning("the mail %r could not be sent: %s", mail.subject, error)
        return False
    log.info("mail sent: %s", mail.subject)
    return True


def cluster_ready_mail(run_id: str, cluster_id: str, region: str, estimate_lines: Sequence[str]) -> Mail:
    """The cluster takes steps."""
    return compose(
        f"cluster {cluster_id} is ready",
        [
            f"Cluster {cluster_id} in {region} is ready and works for the run {run_id}.",
            "It ends with the run.",
            "",
            *estimate_lines,
        ],
    )


def results_mail(run: Mapping[str, Any], cost: Mapping[str, Any] | None, results_uri: str) -> Mail:
    """The results are published: `run` is the content of run.json, `cost` that of cost.json."""
    counts, featurize, pca = run["counts"], run["featurize"], run["pca"]
    computed = featurize["featurized"]
    return compose(
        f"results of {counts['featurized']:,} images are published",
        [
            *[f"WARNING: {warning}" for warning in run["warnings"][:_MOST_WARNINGS]],
            f"Run {run['run_id']}",
            "",
            f"images in the matrix: {counts['featurized']:,} of {counts['listed']:,} ({computed:,} computed now)",
            f"rejected: {counts['rejected']:,}",
            f"components: {pca['k']}, {pca['variance_reached']:.1%} of the variance",
            (
                f"featurize: {describe_seconds(featurize['seconds']['total'])}, "
                f"{featurize['images_per_second']:.1f} images/s"
            ),
            *(describe_cost(cost) if cost else ["cost: not known"]),
            "",
            f"results: {results_uri}/",
        ],
    )


def describe_cost(cost: Mapping[str, Any]) -> list[str]:
    """What `cost.json` says, in words, a line each."""
    states = ", ".join(f"{cluster['cluster_id']} {cluster['state']}" for cluster in cost["clusters"]) or "none"
    here = cost.get("here")  # not in those of earlier versions
    lines = [f"cost: {cost['usd']:.2f} USD without tax"]
    if cost["usd_per_1000_images"] is not None:
        lines[0] += f", {cost['usd_per_1000_images']:.3f} USD for 1,000 images"
    if cost["estimate"] is not None:
        lines.append(f"estimated: {cost['estimate']['usd']:.2f} USD")
    if here:
        lines.append(
            f"on Airflow's machine: {describe_seconds(here['seconds'])} with {here['processes']} processes, "
            f"{here['usd']:.2f} USD"
        )
    if cost["clusters"]:
        lines.append(f"idle: {cost['idle_minutes']:.0f} min, {cost['idle_usd']:.2f} USD")
    if unpriced := sorted({name for cluster in cost["clusters"] for name in cluster["unpriced"]}):
        lines.append(f"not counted, since the price table lacks them: {', '.join(unpriced)}")
    return [*lines, f"clusters: {states}"]


def failure_mail(*, dag_id: str, run_id: str, task_id: str, cause: str, log_url: str) -> Mail:
    """A task failed for good; the cause stands in the subject, because that is what a phone shows."""
    first_line = next((line.strip() for line in cause.splitlines() if line.strip()), "it gave no reason")
    return compose(
        f"{task_id} failed: {first_line}",
        [
            cause.strip() or first_line,
            "",
            f"task: {task_id}",
            f"run: {run_id} of {dag_id}",
            f"log: {log_url}",
        ],
    )


def reaped_mail(*, cluster_id: str, name: str, region: str, run_id: str, age_hours: float, reason: str) -> Mail:
    """The reaper ended a cluster."""
    return compose(
        f"cluster {cluster_id} was ended by the reaper",
        [
            f"Cluster {cluster_id} ({name}) in {region} was {describe_seconds(age_hours * 3600)} old.",
            f"Reason: {reason}",
            f"Run: {run_id or 'unknown'}",
            "",
            "A run ends its own cluster. Since this one had to be ended, something went wrong: look at the run.",
        ],
    )

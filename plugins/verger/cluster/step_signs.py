"""Reads the signs of work that a step of ours leaves in the bucket, known from the step's own arguments.

Neither Airflow's clock nor its memory is used: whoever reads, after whatever crash, comes to the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError
from verger_rules.addresses import S3Address, parse_uri
from verger_rules.layout import progress_address, run_folder, run_slug, table_folder, worker_signs_folder
from verger_rules.schemas import FEATURIZED, REJECTED

from verger.cluster.progress import describe_progress
from verger.cluster.stall import Sign, Stall, stall_of

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class StepWork:
    """A step that runs, and where it shows that it works.

    Attributes:
        step_id, name: EMR's.
        started: when EMR started it.
        progress: the object that it replaces every few seconds, whether it works or not: its content tells.
        written: prefixes of objects that appear or are replaced by work alone.
    """

    step_id: str
    name: str
    started: datetime
    progress: S3Address
    written: tuple[S3Address, ...]


def step_work(step: Mapping[str, Any]) -> StepWork | None:
    """A step as DescribeStep and ListSteps tell it; None for one that is not ours, or does not run.

    A step that waits for its turn does not stand still. When no step has its turn, the cluster is idle, which EMR ends.
    """
    started = step["Status"].get("Timeline", {}).get("StartDateTime")
    options = _options(step.get("Config", {}).get("Args", ()))
    if step["Status"]["State"] != "RUNNING" or started is None or not {"--metrics-uri", "--run-id"} <= options.keys():
        return None
    metrics = parse_uri(options["--metrics-uri"])
    return StepWork(
        step_id=step["Id"],
        name=step["Name"],
        started=started,
        progress=progress_address(metrics),
        written=(worker_signs_folder(metrics).child(""), *_results(options)),
    )


def _options(arguments: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in pairwise(arguments) if name.startswith("--")}


def _results(options: Mapping[str, str]) -> list[S3Address]:
    """What a step adds to the feature table (its run's files), or to the results."""
    if output := options.get("--output-uri"):
        return [parse_uri(f"{output}/")]
    table, model = options.get("--features-uri"), options.get("--model-uri")
    if not table or not model:
        return []
    folder, slug = table_folder(parse_uri(table), model.rpartition("/")[2]), run_slug(options["--run-id"])
    return [folder.child(f"{run_folder(outcome, slug)}/") for outcome in (FEATURIZED, REJECTED)]


@dataclass(frozen=True)
class ProgressSeen:
    """The progress object as S3 gave it.

    Attributes:
        now: S3's time.
        content: what it holds; None while there is none.
        written_at: when it was written.
    """

    now: datetime
    content: dict[str, Any] | None
    written_at: datetime | None

    @property
    def sign(self) -> Sign | None:
        """When the step last moved, by what it says itself.

        It says for how many seconds nothing has moved, by its own clock; S3 says when it said so. A step whose code is
        older than that field says nothing but that it lives.
        """
        if self.content is None or self.written_at is None:
            return None
        idle = timedelta(seconds=float(self.content.get("idle_seconds", 0.0)))
        return Sign(self.written_at - idle, describe_progress(self.content))


def read_progress(s3: "S3Client", address: S3Address) -> ProgressSeen:
    """Read the progress object and S3's clock.

    Raises ClientError or BotoCoreError when S3 does not tell, ValueError or TypeError for what is no progress.
    """
    try:
        answer = s3.get_object(Bucket=address.bucket, Key=address.key)
        content = json.loads(answer["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return ProgressSeen(_time_of(error.response), None, None)
        raise
    if not isinstance(content, dict):
        raise TypeError(f"{address.uri} holds a JSON {type(content).__name__}, not an object")
    return ProgressSeen(_time_of(answer), content, answer["LastModified"])


def _time_of(answer: Any) -> datetime:  # noqa: ANN401 -- botocore types the answer and the error apart
    """The server's own time; ours only when it does not tell."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)


def newest_written(s3: "S3Client", folders: Sequence[S3Address]) -> Sign | None:
    """The newest object below some prefixes, as a sign of work."""
    newest = None
    for folder in folders:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key):
            for found in page.get("Contents", ()):
                if newest is None or found["LastModified"] > newest.at:
                    newest = Sign(found["LastModified"], f"s3://{folder.bucket}/{found['Key']}")
    return newest


def read_stall(s3: "S3Client", work: StepWork, seen: ProgressSeen, patience: timedelta) -> Stall:
    """How long a step stands still; its objects are listed only when its own progress has not moved for `patience`."""
    signs = [seen.sign] if seen.sign else []
    stall = stall_of(seen.now, work.started, signs)
    if stall.lasts < patience:
        return stall
    written = newest_written(s3, work.written)
    return stall_of(seen.now, work.started, [*signs, *([written] if written else [])])


def running_step(emr: "EMRClient", cluster_id: str) -> StepWork | None:
    """The step of ours that runs on a cluster, if there is one."""
    for page in emr.get_paginator("list_steps").paginate(ClusterId=cluster_id, StepStates=["RUNNING"]):
        for step in page["Steps"]:
            if (work := step_work(cast("Mapping[str, Any]", step))) is not None:
                return work
    return None

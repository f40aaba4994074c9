"""What a featurize step tells when it is done: the figures of `featurize.json`, and whether it may count as done."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.compute as pc
from verger_rules.answers import has_features
from verger_rules.decoder_version import DECODER_VERSION

from spark_jobs.job_errors import StepFailedError
from spark_jobs.steps.featurize_arguments import FeaturizeArguments
from spark_jobs.steps.model_files import Model
from spark_jobs.worker.telemetry import TotalsByHost, over_hosts

REASONS_IN_MESSAGE = 3
# Added over the workers: seconds of the reads, of waiting for one, of decoding, of the model and of storing the rows.
WORKER_SECONDS = ("fetch", "wait", "decode", "infer", "write")


@dataclass(frozen=True)
class StepTimes:
    """Seconds of the driver: the whole step, until Spark was started, and from there to the last commit."""

    total: float
    start: float
    spark: float


@dataclass(frozen=True)
class Work:
    """What the chunks of a step came to.

    Attributes:
        totals: the workers' telemetry.
        chunks: how many were committed.
        seconds: from the first chunk's beginning to the last commit.
    """

    totals: TotalsByHost
    chunks: int
    seconds: float


class RejectReason(TypedDict):
    """How many images one stage and reason took, and the first of them."""

    stage: str
    reason: str
    images: int
    example: str


@dataclass
class Outcome:
    """How the manifest's images are answered after the step, counted part by part.

    Attributes:
        listed, featurized: images of the manifest.
        reasons: why the others were rejected, by stage and reason.
    """

    listed: int = 0
    featurized: int = 0
    reasons: dict[tuple[str, str], RejectReason] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        """Images of the manifest without features."""
        return self.listed - self.featurized

    def add(self, answers: pa.Table) -> None:
        """Count some answers, schema ANSWERS."""
        rejects = answers.filter(pc.invert(has_features(answers)))
        self.listed += answers.num_rows
        self.featurized += answers.num_rows - rejects.num_rows
        for group in _grouped(rejects):
            known = self.reasons.setdefault((group["stage"], group["reason"]), group)
            if known is not group:
                known["images"] += group["images"]

    def counting(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The same answers, counted as they pass."""
        for part in parts:
            self.add(part)
            yield part

    def reject_reasons(self) -> list[RejectReason]:
        """How many images each stage and reason took, the most first, each with its first image."""
        return sorted(self.reasons.values(), key=lambda group: (-group["images"], group["stage"], group["reason"]))


def _grouped(rejects: pa.Table) -> Iterator[RejectReason]:
    groups = rejects.group_by(["stage", "reason"], use_threads=False).aggregate([("path", "count"), ("path", "first")])
    columns = (groups[name].to_pylist() for name in ("stage", "reason", "path_count", "path_first"))
    for stage, reason, images, example in zip(*columns, strict=True):
        yield {"stage": stage, "reason": reason, "images": images, "example": example}


def check_outcome(outcome: Outcome, max_reject_rate: float) -> None:
    """Fail a step that rejected too much; what it committed stays.

    Raises:
        StepFailedError: no image has features, or the rejects exceed their allowed share of the manifest.
    """
    share = outcome.rejected / outcome.listed
    if outcome.featurized and share <= max_reject_rate:
        return
    reasons = "; ".join(
        f"{group['stage']}/{group['reason']} x {group['images']}, as {group['example']}"
        for group in outcome.reject_reasons()[:REASONS_IN_MESSAGE]
    )
    counts = f"{outcome.rejected} of {outcome.listed} images ({share:.1%}) were rejected"
    if not outcome.featurized:
        raise StepFailedError(f"No image has features: {counts} ({reasons}). Check what lies under the images prefix")
    raise StepFailedError(
        f"{counts}, more than --max-reject-rate {max_reject_rate:.1%} ({reasons}). The work is kept: remove or mend "
        "these files, or allow a higher rate, and run again"
    )


def metrics(args: FeaturizeArguments, model: Model, outcome: Outcome, work: Work, times: StepTimes) -> dict[str, Any]:
    """The content of `featurize.json`."""
    totals = over_hosts(work.totals)
    images, rejected = int(totals.get("images", 0)), int(totals.get("rejected", 0))
    return {
        "run_id": args.run_id,
        "model_fingerprint": model.fingerprint,
        "weights": model.weights,
        "engine": model.engine,
        "decoder": DECODER_VERSION,
        "listed": outcome.listed,
        "done_before": outcome.listed - images,
        "featurized": images - rejected,
        "rejected": rejected,
        "retries": int(totals.get("retries", 0)),
        "bytes": int(totals.get("bytes", 0)),
        "seconds": {
            "total": round(times.total, 3),
            "start": round(times.start + times.spark - work.seconds, 3),
            **{name: round(totals.get(name, 0.0), 3) for name in WORKER_SECONDS},
        },
        "executors": {
            host: {name: round(figure, 3) for name, figure in figures.items()} for host, figures in work.totals.items()
        },
        "images_per_second": round(images / work.seconds, 1) if images else 0.0,
        "chunks": work.chunks,
        "worker_peak_mib": round(totals.get("peak_mib", 0.0)),
        "reject_reasons": outcome.reject_reasons(),
        "total_featurized": outcome.featurized,
        "total_rejected": outcome.rejected,
        "versions": versions(
            ("pyspark", "numpy", "pillow", "pyarrow", "deltalake", "duckdb", "obstore", "ai-edge-litert")
        ),
        "finished_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def versions(packages: Sequence[str]) -> Mapping[str, str]:
    """The installed versions of some packages; those that are not installed are left out."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found

"""What a featurize step tells when it is done: the figures of `featurize.json`, and whether it may count as done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

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


@dataclass(frozen=True)
class Outcome:
    """How the manifest's images are answered after the step.

    Attributes:
        listed, featurized, rejected: images of the manifest.
        rejects: the answers of those that were rejected, schema ANSWERS.
    """

    listed: int
    featurized: int
    rejected: int
    rejects: pa.Table


def outcome_of(answers: pa.Table) -> Outcome:
    """Count the answers of a manifest, schema ANSWERS."""
    rejects = answers.filter(pc.invert(has_features(answers)))
    return Outcome(answers.num_rows, answers.num_rows - rejects.num_rows, rejects.num_rows, rejects)


def reject_reasons(rejects: pa.Table) -> list[dict[str, Any]]:
    """How many images each stage and reason took, the most first, each with its first image."""
    groups: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rejects.select(["path", "stage", "reason"]).to_pylist():
        group = groups.setdefault(
            (row["stage"], row["reason"]),
            {"stage": row["stage"], "reason": row["reason"], "images": 0, "example": row["path"]},
        )
        group["images"] += 1
    return sorted(groups.values(), key=lambda group: (-group["images"], group["stage"], group["reason"]))


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
        for group in reject_reasons(outcome.rejects)[:REASONS_IN_MESSAGE]
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
        "reject_reasons": reject_reasons(outcome.rejects),
        "total_featurized": outcome.featurized,
        "total_rejected": outcome.rejected,
        "versions": versions(("pyspark", "numpy", "pillow", "pyarrow", "deltalake", "obstore", "ai-edge-litert")),
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

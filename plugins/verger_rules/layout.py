"""Where both sides find and leave things (docs/formats.md)."""

import hashlib
import re

from verger_rules.addresses import S3Address

#: Beside `pca.json`: what the step found about the quality of the matrix, and the images that it judged.
JUDGEMENT = "quality.json"
JUDGED_IMAGES = "quality_images.parquet"


def run_slug(run_id: str) -> str:
    """The run id as it may stand in a path (Hadoop refuses colons), unique to it."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', run_id)}-{digest}"


def table_folder(features_root: S3Address, fingerprint: str) -> S3Address:
    """The feature table of a model, below the root of all of them; `fingerprint` is 16 hex digits."""
    return features_root.child(f"model={fingerprint}")


def run_folder(outcome: str, slug: str) -> str:
    """The folder of the files that a run writes, relative to its table."""
    return f"outcome={outcome}/{slug}"


def chunk_folder(outcome: str, slug: str, chunk: int) -> str:
    """The folder of a chunk's files, relative to its table."""
    return f"{run_folder(outcome, slug)}/{chunk:05d}"


def answers_file(number: int) -> str:
    """A file of a run's answers, relative to their folder; numbers begin with 0."""
    return f"part-{number:05d}.parquet"


def progress_address(metrics: S3Address) -> S3Address:
    """`featurize.progress.json` beside `featurize.json`, `pca.progress.json` beside `pca.json`."""
    return S3Address(metrics.bucket, f"{metrics.key.removesuffix('.json')}.progress.json")


def worker_signs_folder(metrics: S3Address) -> S3Address:
    """The folder `featurize.workers` beside `featurize.json`."""
    return S3Address(metrics.bucket, f"{metrics.key.removesuffix('.json')}.workers")

"""Where the two jobs find and leave things: the one place on Spark's side that builds paths (docs/formats.md)."""

import hashlib
import re
from dataclasses import dataclass

from spark_jobs.s3_address import S3Address


def run_slug(run_id: str) -> str:
    """The run id as it may stand in a path (Hadoop refuses colons), unique to it."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', run_id)}-{digest}"


@dataclass(frozen=True)
class TableLayout:
    """The feature table of one model, its rejects and its commit records.

    Attributes:
        features_root: `--features-uri`.
        rejects_root: `--rejects-uri`.
        fingerprint: the model's fingerprint, 16 hex digits.
    """

    features_root: S3Address
    rejects_root: S3Address
    fingerprint: str

    @property
    def features(self) -> S3Address:
        """The folder that file names of features are relative to."""
        return self.features_root.child(f"model={self.fingerprint}")

    @property
    def rejects(self) -> S3Address:
        """The folder that file names of rejects are relative to."""
        return self.rejects_root.child(f"model={self.fingerprint}")

    @property
    def commits(self) -> S3Address:
        """The folder of the commit records."""
        return self.features.child("_commits")

    def commit(self, slug: str, chunk: int) -> S3Address:
        """The commit record of one chunk."""
        return self.commits.child(f"{commit_name(slug, chunk)}.json")


def commit_name(slug: str, chunk: int) -> str:
    """The name of a commit record, as `replaces` gives it."""
    return f"{slug}.{chunk:05d}"


def chunk_folder(slug: str, chunk: int) -> str:
    """The folder of one chunk, relative to the table of its model."""
    return f"run={slug}/chunk={chunk}"


def progress_address(metrics: S3Address) -> S3Address:
    """`featurize.progress.json` beside `featurize.json`, `pca.progress.json` beside `pca.json`."""
    return S3Address(metrics.bucket, f"{metrics.key.removesuffix('.json')}.progress.json")


def worker_signs_folder(metrics: S3Address) -> S3Address:
    """The folder `featurize.workers` beside `featurize.json`."""
    return S3Address(metrics.bucket, f"{metrics.key.removesuffix('.json')}.workers")

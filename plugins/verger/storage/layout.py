"""Where everything lies in the bucket: the one place on Airflow's side that builds paths (docs/formats.md)."""

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from verger.storage.file_names import one_form


class S3Address(NamedTuple):
    """A bucket and a key; the key stands as it is, never percent-encoded."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The address as `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"


def parse_uri(uri: str) -> S3Address:
    """Split `s3://bucket/key`; raises ValueError for anything else."""
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        raise ValueError(f"{uri!r} is no S3 address: write s3://bucket/key")
    return S3Address(bucket, key)


def run_slug(run_id: str) -> str:
    """The run id as it may stand in a path (Hadoop refuses colons), unique to it."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', run_id)}-{digest}"


def label_of(key: str, images_prefix: str) -> str:
    """The last folder of an image's key below the prefix, in the form NFC; empty for an image directly under it.

    macOS writes an accented letter as two characters and Windows as one. Keys stay what they are, the label is one.
    """
    folders = key.removeprefix(images_prefix).split("/")[:-1]
    return one_form(folders[-1]) if folders else ""


@dataclass(frozen=True)
class BucketLayout:
    """The paths of one bucket.

    Attributes:
        bucket: the bucket's name.
        images_prefix: the prefix of the pictures, ending in `/`.
    """

    bucket: str
    images_prefix: str = "images/"

    def address(self, key: str) -> S3Address:
        """The address of a key in this bucket."""
        return S3Address(self.bucket, key)

    @property
    def features_uri(self) -> str:
        """The root of the feature table."""
        return self.address("features").uri

    @property
    def rejects_uri(self) -> str:
        """The root of the table of rejects."""
        return self.address("rejects").uri

    @property
    def models_uri(self) -> str:
        """The folder that holds the models."""
        return self.address("models").uri

    @property
    def log_uri(self) -> str:
        """Where EMR writes its logs."""
        return self.address("logs/").uri

    @property
    def latest(self) -> S3Address:
        """The pointer to the newest results."""
        return self.address("results/latest.json")

    @property
    def runs_prefix(self) -> str:
        """The folder of what runs write down about themselves, ending in `/`."""
        return "runs/"

    @property
    def acceptance(self) -> S3Address:
        """What an account answered when it was tried (docs/first-run-on-aws.md)."""
        return self.address("reports/acceptance.json")

    def report_file(self, day: date, name: str) -> S3Address:
        """A file of the cost report that ends on a day."""
        return self.address(f"reports/{day.isoformat()}/{name}")

    def model_key(self, fingerprint: str, file: str = "model.json") -> str:
        """The key of a model's file."""
        return f"models/{fingerprint}/{file}"

    def code_prefix(self, digest: str) -> str:
        """The folder of one version of the code, ending in `/`."""
        return f"code/{digest}/"

    def features_prefix(self, fingerprint: str) -> str:
        """The folder of a model's features, ending in `/`."""
        return f"features/model={fingerprint}/"

    def rejects_prefix(self, fingerprint: str) -> str:
        """The folder of a model's rejects, ending in `/`."""
        return f"rejects/model={fingerprint}/"

    def commits_prefix(self, fingerprint: str) -> str:
        """The folder of a model's commit records, ending in `/`."""
        return f"{self.features_prefix(fingerprint)}_commits/"


@dataclass(frozen=True)
class RunLayout:
    """The paths of one run in a bucket."""

    layout: BucketLayout
    run_id: str

    @property
    def slug(self) -> str:
        """The run id as it stands in paths."""
        return run_slug(self.run_id)

    def run_file(self, name: str) -> S3Address:
        """A file under `runs/<slug>/`: manifest.parquet, plan.json, featurize.json, cost.json and others."""
        return self.layout.address(f"runs/{self.slug}/{name}")

    def result_file(self, name: str = "") -> S3Address:
        """A file under `results/<slug>/`."""
        return self.layout.address(f"results/{self.slug}/{name}")

    @property
    def claim(self) -> S3Address:
        """Whose the run's folder is."""
        return self.run_file("claim.json")

    @property
    def published(self) -> S3Address:
        """That the run has published, and which run `latest.json` pointed to then."""
        return self.run_file("published.json")

    @property
    def left_out_of_source(self) -> S3Address:
        """What was copied from the run's source, and what was left out of it."""
        return self.run_file("sync.json")

    @property
    def left_out_of_bucket(self) -> S3Address:
        """What lies in the bucket and was not listed."""
        return self.run_file("left_out.json")

    @property
    def results_uri(self) -> str:
        """The folder of the results, without a `/` at its end."""
        return self.result_file().uri.rstrip("/")

"""Where everything lies in the bucket: the one place on Airflow's side that builds paths (docs/formats.md)."""

from dataclasses import dataclass
from datetime import date

from verger_rules.addresses import S3Address
from verger_rules.layout import run_slug, table_folder

from verger.storage.file_names import one_form


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
    def features(self) -> S3Address:
        """The root of the feature tables."""
        return self.address("features")

    def feature_table(self, fingerprint: str) -> S3Address:
        """The folder of a model's feature table."""
        return table_folder(self.features, fingerprint)

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
    def answers(self) -> S3Address:
        """The folder of the run's answers."""
        return self.run_file("answers")

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

"""A bucket with pictures, a manifest and a model, and the two jobs run on it as processes or in this one."""

import hashlib
import io
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from mypy_boto3_s3 import S3Client
from PIL import Image
from verger.artifacts.code_bundle import job_packages, zip_packages
from verger_rules.delta_table import TablePlace
from verger_rules.schemas import FEATURIZED, OUTCOME, REJECTED

from spark_jobs.store.object_store import StoreSettings
from tests.stored_tables import place_of, visible_rows

PROJECT = Path(__file__).resolve().parents[2]
SPARK_HOME = PROJECT / ".venv/spark/lib/python3.11/site-packages/pyspark"
SPARK_PYTHON = PROJECT / ".venv/spark/bin/python"
JARS = PROJECT / ".cache/jars/s3a"
# Spark's own versions win over those that the S3A jars bring along, as on EMR.
CLASS_PATH = f"{SPARK_HOME}/jars/*:{JARS}/*"
S3A = {
    "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    "spark.hadoop.fs.s3a.path.style.access": "true",
    "spark.hadoop.fs.s3a.endpoint.region": "eu-west-1",
    "spark.ui.enabled": "false",
    "spark.driver.extraClassPath": CLASS_PATH,
    "spark.executor.extraClassPath": CLASS_PATH,
    # Short-lived JVMs on few cores: the second compiler costs more than it gives.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
RUN = "manual__2026-11-21T12:00:00+00:00"


def jpeg(colour: tuple[int, int, int] = (200, 30, 40), size: tuple[int, int] = (100, 80)) -> bytes:
    """A picture of two colours as a JPEG; other colours, other bytes."""
    picture = Image.new("RGB", size, colour)
    picture.paste((colour[2], colour[0], colour[1]), (10, 10, size[0] // 2, size[1] // 2))
    stored = io.BytesIO()
    picture.save(stored, "JPEG", quality=90)
    return stored.getvalue()


def many_jpegs(count: int) -> dict[str, bytes]:
    """Different pictures by key, of three labels."""
    return {
        f"fruit {number % 3}/{number:04d}.jpg": jpeg((number * 37 % 256, number * 11 % 256, number * 53 % 256))
        for number in range(count)
    }


@dataclass(frozen=True)
class JobWorld:
    """One bucket with a published model."""

    s3: S3Client
    bucket: str
    endpoint: str
    fingerprint: str

    @property
    def settings(self) -> StoreSettings:
        """How the jobs' own modules reach the bucket."""
        return StoreSettings(self.endpoint, "eu-west-1")

    @property
    def place(self) -> TablePlace:
        """The feature table."""
        return place_of(self.s3, self.bucket, self.fingerprint)

    def put(self, key: str, content: bytes) -> str:
        """Store an object; its etag."""
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)["ETag"].strip('"')

    def get(self, key: str) -> bytes:
        """The bytes of an object."""
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def get_json(self, key: str) -> dict[str, Any]:
        """A JSON object."""
        content: dict[str, Any] = json.loads(self.get(key))
        return content

    def get_table(self, key: str) -> pa.Table:
        """A Parquet file."""
        return pq.read_table(io.BytesIO(self.get(key)))

    def put_images(self, pictures: Mapping[str, bytes]) -> None:
        """Store pictures under `images/` and write the manifest that lists exactly these."""
        rows = []
        for key, content in sorted(pictures.items()):
            etag = self.put(f"images/{key}", content)
            rows.append((f"s3://{self.bucket}/images/{key}", etag, key.split("/")[-2], len(content)))
        self.put_manifest(rows)

    def put_manifest(self, rows: Sequence[tuple[str, str, str, int]]) -> None:
        """Write the manifest."""
        names = ("path", "etag", "label", "size")
        columns = [list(column) for column in zip(*sorted(rows), strict=True)]
        stored = io.BytesIO()
        pq.write_table(pa.table(dict(zip(names, columns, strict=True))), stored)
        self.put("runs/r/manifest.parquet", stored.getvalue())

    def featurize_arguments(self, *more: str, run_id: str = RUN) -> list[str]:
        """The command line of a featurize step."""
        return [
            *("--manifest-uri", f"s3://{self.bucket}/runs/r/manifest.parquet"),
            *("--features-uri", f"s3://{self.bucket}/features", "--answers-uri", f"s3://{self.bucket}/runs/r/answers"),
            *("--model-uri", f"s3://{self.bucket}/models/{self.fingerprint}"),
            *("--metrics-uri", f"s3://{self.bucket}/runs/r/featurize.json", "--run-id", run_id),
            *("--work-folder", tempfile.gettempdir()),
            *more,
        ]

    def pca_arguments(self, *more: str, run_id: str = RUN, output: str = "results/r") -> list[str]:
        """The command line of a PCA step."""
        return [
            *("--answers-uri", f"s3://{self.bucket}/runs/r/answers", "--features-uri", f"s3://{self.bucket}/features"),
            *("--model-fingerprint", self.fingerprint),
            *("--output-uri", f"s3://{self.bucket}/{output}"),
            *("--metrics-uri", f"s3://{self.bucket}/runs/r/pca.json", "--run-id", run_id),
            *more,
        ]

    def table_rows(self, *, features: bool) -> pa.Table:
        """The rows that readers see, by path."""
        rows = visible_rows(self.s3, self.bucket, self.fingerprint)
        return rows.filter(pc.equal(rows[OUTCOME], FEATURIZED if features else REJECTED))

    def answers(self) -> pa.Table:
        """The run's answers."""
        return self.get_table("runs/r/answers/part-00000.parquet")


def put_model(s3: S3Client, bucket: str, folder: Path) -> str:
    """Publish a prepared model in a bucket; its fingerprint."""
    for file in folder.iterdir():
        s3.put_object(Bucket=bucket, Key=f"models/{folder.name}/{file.name}", Body=file.read_bytes())
    return folder.name


def zip_jobs(folder: Path) -> Path:
    """`spark_jobs.zip` as it is published; the job files lie beside it, alone."""
    target = folder / "spark_jobs.zip"
    target.write_bytes(zip_packages(*job_packages(PROJECT)))
    for name in ("featurize.py", "pca.py"):
        (folder / name).write_bytes((PROJECT / "spark_jobs/entry_points" / name).read_bytes())
    return target


@dataclass(frozen=True)
class Spark:
    """An environment with a Spark."""

    home: Path = SPARK_HOME
    python: Path = SPARK_PYTHON

    @property
    def settings(self) -> dict[str, str]:
        """How this Spark reaches S3."""
        return {name: value.replace(str(SPARK_HOME), str(self.home)) for name, value in S3A.items()}


NEWEST_SPARK = Spark()
#: EMR's own version (requirements/spark_emr.in).
EMR_SPARK = Spark(
    PROJECT / ".venv/spark_emr/lib/python3.11/site-packages/pyspark", PROJECT / ".venv/spark_emr/bin/python"
)


def submit_command(
    code: Path, job: str, arguments: Sequence[str], master: str, spark: Spark = NEWEST_SPARK
) -> list[str]:
    """The spark-submit of a step, as on the cluster but for the jars and the address of S3."""
    settings = [part for name, value in spark.settings.items() for part in ("--conf", f"{name}={value}")]
    zipped = str(code / "spark_jobs.zip")
    return [
        str(spark.home / "bin/spark-submit"),
        *("--master", master),
        *settings,
        *("--py-files", zipped, str(code / job)),
        *arguments,
    ]


def here_command(featurize: Sequence[str], pca: Sequence[str], *own: str, seconds: int = 600) -> list[str]:
    """Both steps on this machine, with the nodes' packages alone."""
    program = [str(PROJECT / ".venv/node/bin/python"), "-m", "spark_jobs.entry_points.here"]
    limits = ["--processes", "2", "--stop-after", str(seconds), "--nice", "0"]
    return [*program, *limits, *own, "--", "featurize", *featurize, "--", "pca", *pca]


def submit_environment(endpoint: str, spark: Spark = NEWEST_SPARK) -> dict[str, str]:
    """What a step's process sees."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SPARK_", "PY"))}
    return kept | {
        "SPARK_HOME": str(spark.home),
        "PYSPARK_PYTHON": str(spark.python),
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "eu-west-1",
    }


def submit(
    code: Path,
    job: str,
    arguments: Sequence[str],
    endpoint: str,
    master: str = "local[2]",
    spark: Spark = NEWEST_SPARK,
) -> subprocess.CompletedProcess[str]:
    """Run a step to its end."""
    return subprocess.run(
        submit_command(code, job, arguments, master, spark),
        env=submit_environment(endpoint, spark),
        cwd=code,
        capture_output=True,
        text=True,
        check=False,
        timeout=560,
    )


def sha256(content: bytes) -> str:
    """Of some bytes, in hex."""
    return hashlib.sha256(content).hexdigest()

"""A small run as its steps leave it in a bucket: three pictures with features and a reject."""

from typing import Any

import pyarrow as pa
from mypy_boto3_s3 import S3Client
from verger.plan.plan_space import PlanLimits
from verger.publish.results import PlaceFacts, publish
from verger.run.settings import Settings
from verger.storage.aws_clients import arrow_filesystem
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.addresses import S3Address
from verger_rules.delta_table import live_files, open_table
from verger_rules.layout import answers_file
from verger_rules.schemas import MANIFEST

from tests.answering_images import answers_now
from tests.stored_tables import Row, parquet, place_of, put_chunk, read_object

HOSTILE = "<img src=x onerror=alert(1)>"
FINGERPRINT = "f" * 16
PLAN = {"listed": 4, "inputs_digest": "d", "model_fingerprint": FINGERPRINT, "created_at": "2026-11-21T11:00:00+00:00"}
FEATURIZE = {
    "weights": "random",
    "featurized": 3,
    "rejected": 1,
    "total_featurized": 3,
    "total_rejected": 1,
    "images_per_second": 12.5,
    "seconds": {"total": 8.0, "fetch": 1.0, "decode": 2.0, "infer": 3.0},
    "reject_reasons": [{"stage": "decode", "reason": "truncated", "images": 1, "example": f"s3://b/{HOSTILE}.jpg"}],
}
PCA = {
    "featurized": 3,
    "rejected": 1,
    "k": 2,
    "explained_variance_ratio": [0.6, 0.3],
    "variance_reached": 0.9,
    "explained_variance_total": 286.04,
    "seconds": {"total": 4.0},
}
METRICS = {"plan.json": PLAN, "featurize.json": FEATURIZE, "pca.json": PCA}
LISTED = pa.table(
    {"path": list("abcd"), "etag": list("1234"), "label": ["", HOSTILE, "_x$y$", ""], "size": [9] * 4}, schema=MANIFEST
)
MATRIX = pa.table(
    {
        "path": list("abc"),
        "label": ["", HOSTILE, "_x$y$"],
        "pc_1": [1.0, 2.0, 3.0],
        "pc_2": [0.1, 0.2, 0.3],
    }
)


def put_table(s3: S3Client, address: S3Address, table: pa.Table) -> None:
    """Store a table as a Parquet object."""
    s3.put_object(Bucket=address.bucket, Key=address.key, Body=parquet(table))


def put_run(s3: S3Client, bucket: str) -> RunLayout:
    """Store the run: what the plan wrote, the feature table, the answers, the matrix and the metrics."""
    run = RunLayout(BucketLayout(bucket), "manual__1")
    put_table(s3, run.result_file("matrix.parquet"), MATRIX)
    put_table(s3, run.run_file("manifest.parquet"), LISTED)
    rows = [Row(row["path"], row["etag"], row["label"]) for row in LISTED.to_pylist()[:3]]
    put_chunk(s3, bucket, run.run_id, [*rows, Row("d", "4", "", value=None)], fingerprint=FINGERPRINT)
    put_answers(s3, run, answers_of(s3, run))
    for name, content in METRICS.items():
        write_json(s3, run.run_file(name), content)
    return run


def answers_of(s3: S3Client, run: RunLayout) -> pa.Table:
    """The answers as featurize decides them."""
    place = place_of(s3, run.layout.bucket, FINGERPRINT)

    def read(name: str, columns: Any) -> pa.Table:
        return read_object(s3, place.folder.child(name)).select(list(columns))

    return answers_now(LISTED, live_files(open_table(place)), read, run.slug)


def put_answers(s3: S3Client, run: RunLayout, answers: pa.Table) -> None:
    """Store a run's answers."""
    put_table(s3, run.answers.child(answers_file(0)), answers)


def publish_now(s3: S3Client, run: RunLayout, source: str = "") -> dict[str, Any]:
    """Publish the run; `run.json`'s content."""
    return publish(
        s3,
        arrow_filesystem(None, "eu-west-1"),
        run,
        Settings(bucket=run.layout.bucket, region="eu-west-1", source=source),
        place=PlaceFacts({"bucket": "eu-west-1"}, {"id": "j-1", "release_label": "emr-spark-8.1.0"}),
        published_at="2026-11-21T12:00:00+00:00",
        limits=PlanLimits(memory_mib=256),
    )

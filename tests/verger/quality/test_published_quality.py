"""What is published of a run's quality, from what its step `pca` left."""

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from mypy_boto3_s3 import S3Client
from verger.quality.published_quality import Quality, find_quality, summarize, write_quality
from verger.storage.layout import BucketLayout, RunLayout

from tests.answering_images import small_database
from tests.stored_tables import keys_below
from tests.verger.quality.judged_run import FINGERPRINT, features_of, judged_images, put_judged

HOSTILE = '=HYPERLINK("http://x")'
LABELS = [HOSTILE] * 12 + ["banana"] * 12


def published(s3: S3Client, bucket: str, folder: Path) -> tuple[RunLayout, Quality]:
    judged = judged_images(LABELS, features_of(LABELS), near=[(0, 13)])
    run = put_judged(s3, bucket, judged, folder, [*"aab", *"cdefghijklmnopqrstuvw"])
    with small_database() as lists:
        quality = find_quality(s3, run, lists, folder / "manifest.parquet", 24, "")
    assert quality is not None
    write_quality(s3, run, quality)
    return run, quality


def read(s3: S3Client, run: RunLayout, name: str) -> bytes:
    address = run.result_file(name)
    return s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()


def test_the_report_holds_what_was_judged_and_what_publishing_found(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    run, _ = published(s3, bucket, tmp_path)
    report: dict[str, Any] = json.loads(read(s3, run, "quality.json"))
    assert (report["format"], report["images"], report["of_images"]) == (1, 24, 24)
    assert report["classifier"]["features"]["accuracy"]["value"] > 0.9
    assert report["classifier"]["components"]["k"] == 2
    assert report["duplicates"]["near"] == {"groups": 1, "images": 2}
    assert summarize(report)["sentence"] == "So it is."


def test_the_list_of_duplicates_is_harmless_to_spreadsheets(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    run, _ = published(s3, bucket, tmp_path)
    rows = list(csv.DictReader(io.StringIO(read(s3, run, "duplicates.csv").decode())))
    assert [row["kind"] for row in rows] == ["near", "near", "same bytes", "same bytes"]
    assert rows[0]["label"] == f"'{HOSTILE}"
    assert read(s3, run, "duplicates-excel.csv").startswith(b"\xef\xbb\xbfgroup;kind;")


def test_the_saved_classifier_is_vouched_for_and_knows_its_images(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    run, _ = published(s3, bucket, tmp_path)
    description = json.loads(read(s3, run, "classifier/classifier.json"))
    content = read(s3, run, "classifier/classifier.npz")
    assert hashlib.sha256(content).hexdigest() == description["sha256"]
    assert description["model_fingerprint"] == FINGERPRINT
    features = features_of(LABELS)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        logits = features @ arrays["coefficients"].T + arrays["intercept"]
    assert [description["labels"][at] for at in logits.argmax(axis=1)] == LABELS
    references = pq.read_table(io.BytesIO(read(s3, run, "classifier/references.parquet")))
    assert references.column_names == ["path", "label", "features"]
    assert references.num_rows == 24
    assert 0 < description["unlike_distance"] < 1


def test_published_again_with_one_label_it_leaves_no_classifier(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    run, _ = published(s3, bucket, tmp_path)
    classifier = run.result_file("classifier/")
    assert keys_below(s3, bucket, classifier.key)
    put_judged(s3, bucket, judged_images(["banana"] * 3), tmp_path, "abc")
    with small_database() as lists:
        quality = find_quality(s3, run, lists, tmp_path / "manifest.parquet", 3, "")
    assert quality is not None
    assert quality.report["classifier"] is None
    assert keys_below(s3, bucket, classifier.key) == set()


def test_a_run_of_an_earlier_version_has_no_quality(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    with small_database() as lists:
        assert find_quality(s3, RunLayout(BucketLayout(bucket), "old"), lists, tmp_path, 3, "") is None

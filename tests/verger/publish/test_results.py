"""Results become readable whole, or not at all."""

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from mypy_boto3_s3 import S3Client
from verger.plan.planning import write_left_out
from verger.publish.reconciliation import CountsDisagreeError
from verger.publish.report import render_report
from verger.publish.results import StepOutputMissingError, describe_cluster
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import RunLayout
from verger.storage.left_out import SYSTEM_FOLDER, LeftOut, leave_out
from verger.sync.synchronize import SyncPlan

from tests.stored_tables import keys_below
from tests.verger.publish.stored_run import (
    FEATURIZE,
    FINGERPRINT,
    HOSTILE,
    PCA,
    PLAN,
    answers_of,
    publish_now,
    put_answers,
    put_table,
)


def test_the_pointer_moves_to_a_run_whose_counts_agree(s3: S3Client, run: RunLayout) -> None:
    description = publish_now(s3, run)
    latest = read_json(s3, run.layout.latest)
    assert latest
    assert (latest["run_id"], latest["results_uri"]) == ("manual__1", run.results_uri)
    assert read_json(s3, run.result_file("run.json")) == json.loads(json.dumps(description))
    assert "RANDOM weights" in description["warnings"][0]


def test_the_same_bytes_under_two_labels_are_told_loudly(s3: S3Client, run: RunLayout) -> None:
    same = {"images": 1234, "examples": [["s3://b/images/Apple/1.jpg", "s3://b/images/Pomme/1.jpg"]]}
    write_json(s3, run.run_file("plan.json"), {**PLAN, "same_bytes": same})
    description = publish_now(s3, run)
    assert "1,234 pictures lie with the same bytes under two labels" in description["warnings"][-1]
    assert description["plan"]["same_bytes"] == same
    report = run.result_file("report.html")
    assert b"1,234 pictures" in s3.get_object(Bucket=report.bucket, Key=report.key)["Body"].read()


def test_what_pca_warns_of_is_told_in_run_json_report_and_explorer(s3: S3Client, run: RunLayout) -> None:
    """A matrix in which nothing varies is drawn like any other."""
    warning = "Nothing varies: all 3 images that the components were fitted on have the same features"
    nothing = {"k": 1, "explained_variance_ratio": [0.0], "variance_reached": 0.0, "explained_variance_total": 0.0}
    write_json(s3, run.run_file("pca.json"), {**PCA, **nothing, "warnings": [warning]})
    matrix = pa.table({"path": ["a", "b", "c"], "label": ["", "x", "y"], "pc_1": [0.0] * 3})
    put_table(s3, run.result_file("matrix.parquet"), matrix)
    assert publish_now(s3, run)["warnings"][1:] == [warning]

    def content(name: str) -> bytes:
        return s3.get_object(Bucket=run.layout.bucket, Key=run.result_file(name).key)["Body"].read()

    assert warning.encode() in content("report.html")
    assert warning.encode() in base64.b64decode(content("explorer/data/run.js").split(b'"')[3])


def test_a_curve_of_an_earlier_publishing_is_not_left_behind(s3: S3Client, run: RunLayout) -> None:
    curve = run.result_file("accuracy.svg")
    s3.put_object(Bucket=curve.bucket, Key=curve.key, Body=b"<svg/>")
    publish_now(s3, run)
    assert curve.key not in keys_below(s3, run.layout.bucket, "results/")


def test_pictures_that_were_decoded_again_are_told_loudly(s3: S3Client, run: RunLayout) -> None:
    write_json(s3, run.run_file("plan.json"), {**PLAN, "redecoded": 1234})
    description = publish_now(s3, run)
    assert "1,234 pictures had been decoded by the rules of another version" in description["warnings"][-1]


def test_a_token_in_the_source_s_address_is_in_no_result(s3: S3Client, run: RunLayout) -> None:
    description = publish_now(s3, run, source="https://h.example/p.zip?X-Amz-Signature=sesame")
    assert description["settings"]["source"] == "https://h.example/p.zip"
    listed = s3.list_objects_v2(Bucket=run.layout.bucket, Prefix="results/")["Contents"]
    for entry in listed:
        body = s3.get_object(Bucket=run.layout.bucket, Key=entry["Key"])["Body"].read()
        encoded = re.findall(rb'"([A-Za-z0-9+/=]{40,})"', body) if "/explorer/data/" in entry["Key"] else []
        for content in (body, *map(base64.b64decode, encoded)):
            assert b"sesame" not in content, entry["Key"]


def test_what_changed_since_the_run_before_is_told(s3: S3Client, run: RunLayout) -> None:
    assert publish_now(s3, run)["changes"] is None
    second = replace(run, run_id="manual__2")
    put_answers(s3, second, answers_of(s3, second))
    for name in ("plan.json", "featurize.json", "pca.json"):
        content = read_json(s3, run.run_file(name))
        assert content
        write_json(s3, second.run_file(name), content | {"k": 1} if name == "pca.json" else content)
    for first, again in (
        (run.result_file("matrix.parquet"), second.result_file("matrix.parquet")),
        (run.run_file("manifest.parquet"), second.run_file("manifest.parquet")),
    ):
        body = s3.get_object(Bucket=first.bucket, Key=first.key)["Body"].read()
        s3.put_object(Bucket=again.bucket, Key=again.key, Body=body)
    changes = publish_now(s3, second)["changes"]
    assert changes["since"]["run_id"] == "manual__1"
    assert changes["values"]["k"] == {"before": 2, "now": 1}


def test_the_pointer_stays_when_a_picture_is_missing(s3: S3Client, run: RunLayout) -> None:
    write_json(s3, run.layout.latest, {"run_id": "before"})
    write_json(s3, run.run_file("plan.json"), {**PLAN, "listed": 5})
    with pytest.raises(CountsDisagreeError, match="listed 5 is not featurized"):
        publish_now(s3, run)
    assert read_json(s3, run.layout.latest) == {"run_id": "before"}


def test_the_pointer_stays_when_a_step_left_nothing(s3: S3Client, run: RunLayout) -> None:
    s3.delete_object(Bucket=run.layout.bucket, Key=run.run_file("pca.json").key)
    with pytest.raises(StepOutputMissingError, match=r"pca\.json is missing"):
        publish_now(s3, run)
    assert read_json(s3, run.layout.latest) is None


def test_the_pointer_stays_when_the_list_of_pictures_is_missing(s3: S3Client, run: RunLayout) -> None:
    s3.delete_object(Bucket=run.layout.bucket, Key=run.run_file("manifest.parquet").key)
    with pytest.raises(StepOutputMissingError, match=r"manifest\.parquet is missing"):
        publish_now(s3, run)
    assert read_json(s3, run.layout.latest) is None


def test_the_pointer_stays_when_a_file_of_the_feature_table_is_gone(s3: S3Client, run: RunLayout) -> None:
    """An erasure was faster. Where the thumbnail cannot be read, the features are gone as well."""
    write_json(s3, run.layout.latest, {"run_id": "before"})
    (featurized,) = keys_below(s3, run.layout.bucket, f"features/model={FINGERPRINT}/outcome=featurized/")
    s3.delete_object(Bucket=run.layout.bucket, Key=featurized)
    with pytest.raises(StepOutputMissingError, match=f"{featurized}.*Clear add_featurize_step"):
        publish_now(s3, run)
    assert read_json(s3, run.layout.latest) == {"run_id": "before"}


def test_the_explorer_reads_the_same_run_on_a_disk(s3: S3Client, run: RunLayout) -> None:
    description = publish_now(s3, run)
    script = s3.get_object(Bucket=run.layout.bucket, Key=run.result_file("explorer/data/run.js").key)
    assert script["ContentType"] == "text/javascript; charset=utf-8"
    encoded = script["Body"].read().decode().split('"')[3]
    assert json.loads(base64.b64decode(encoded)) == json.loads(json.dumps(description))


def test_the_report_counts_groups_across_the_split_apart_from_those_across_labels(s3: S3Client, run: RunLayout) -> None:
    """A group that lies in Training and Test, under two labels or not, is counted there alone."""
    none, many = {"groups": 0, "images": 0}, {"groups": 65_000, "images": 130_000}
    quality = {
        "sentence": "So it is.", "chosen": "two were asked for", "images": 3, "of_images": 3, "classifier": None,
        "split": {"test": 1, "near_duplicates": None, "features": {"accuracy": {"value": 1.0}}},
        "duplicates": {
            "bound": None, "same_bytes": many, "near": none, "listed": 1234, "across_labels": 5, "across_the_split": 7,
        },
    }  # fmt: skip
    svg = "<svg></svg>"
    page = render_report(publish_now(s3, run), map_svg=svg, scree_svg=svg, quality=quality, accuracy_svg="")
    assert 'of these:</td><td class="number">1,234<' in page
    assert 'of both, in Training and Test</td><td class="number">7<' in page
    assert 'of the others, under two labels or more</td><td class="number">5<' in page


def test_a_hostile_label_is_text_in_the_report(s3: S3Client, run: RunLayout) -> None:
    publish_now(s3, run)
    page = s3.get_object(Bucket=run.layout.bucket, Key=run.result_file("report.html").key)["Body"].read().decode()
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<svg" in page
    assert "<b>90.0%</b>" in page
    assert "http://" not in page.replace("http://www.w3.org/", "").replace("http://purl.org/", "").replace(
        "http://creativecommons.org/", ""
    )


def test_what_was_left_out_of_source_and_bucket_is_told_beside_the_rejects(s3: S3Client, run: RunLayout) -> None:
    hostile = f"{HOSTILE}/\u202egpj.exe\x1b[2J.txt"
    source = [leave_out(hostile, "images/", "no picture by its name"), LeftOut(".git/", SYSTEM_FOLDER, "", 1234)]
    plan = SyncPlan(copy=(), unchanged=3, left_out=tuple(source))
    write_json(s3, run.left_out_of_source, {"run_id": run.run_id, **plan.to_dict()})
    write_left_out(s3, run, [LeftOut("@eaDir/", SYSTEM_FOLDER, "", 2)])
    left_out = publish_now(s3, run)["left_out"]
    assert (left_out["files"], left_out["source"]["files"], left_out["bucket"]["files"]) == (1237, 1235, 2)
    assert left_out["bucket"]["reasons"] == [{"reason": SYSTEM_FOLDER, "files": 2, "examples": ["@eaDir/"]}]
    page = s3.get_object(Bucket=run.layout.bucket, Key=run.result_file("report.html").key)["Body"].read().decode()
    assert "<b>1,237</b> left out" in page
    assert "@eaDir/" in page
    assert "&lt;img src=x onerror=alert(1)&gt;/\\u202egpj.exe\\x1b[2J.txt" in page
    assert not re.search("[\x00-\x08\x1b\u202a-\u202e\u2066-\u2069]|<img", page)


def test_a_run_of_an_earlier_version_left_nothing_out(s3: S3Client, run: RunLayout) -> None:
    description = publish_now(s3, run)
    assert description["left_out"]["files"] == 0
    assert description["left_out"]["source"] == {"files": 0, "reasons": []}


def test_a_path_that_turns_text_around_is_shown_as_what_it_is(s3: S3Client, run: RunLayout) -> None:
    example = {"stage": "decode", "reason": "corrupt", "images": 1, "example": "s3://b/images/\u202egpj.exe"}
    write_json(s3, run.run_file("featurize.json"), {**FEATURIZE, "reject_reasons": [example]})
    publish_now(s3, run)
    page = s3.get_object(Bucket=run.layout.bucket, Key=run.result_file("report.html").key)["Body"].read().decode()
    assert "s3://b/images/\\u202egpj.exe" in page
    assert "\u202e" not in page


def test_publishing_twice_gives_the_same_bytes(s3: S3Client, run: RunLayout) -> None:
    def everything() -> dict[str, str]:
        listed = s3.list_objects_v2(Bucket=run.layout.bucket, Prefix="results/")["Contents"]
        return {entry["Key"]: entry["ETag"] for entry in listed}

    publish_now(s3, run)
    first = everything()
    publish_now(s3, run)
    assert everything() == first
    names = {key.rpartition("/")[2] for key in first}
    assert names >= {"run.json", "report.html", "scree.png", "scree.svg", "map.svg", "index.html", "points.parquet"}


def test_a_cluster_that_never_became_ready_has_no_ready_time() -> None:
    created = datetime(2026, 11, 21, tzinfo=UTC)
    cluster = {
        "Id": "j-1",
        "Name": "verger",
        "ReleaseLabel": "emr-spark-8.1.0",
        "Status": {"State": "WAITING", "Timeline": {"CreationDateTime": created}},
    }
    described = describe_cluster(cluster)
    assert (described["created_at"], described["ready_at"]) == ("2026-11-21T00:00:00+00:00", None)

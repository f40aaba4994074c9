"""Results come out of S3 as a whole."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from verger.storage.layout import BucketLayout, RunLayout

from tools.local_run.results import (
    OPTIONAL_FILES,
    RESULT_FILES,
    RESULT_NAMES,
    ResultsError,
    copy_results,
    read_published,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RUN_ID = "manual__2026-11-21T12:00:00+00:00"


def _publish(s3: "S3Client", bucket: str, run_id: str, text: str) -> BucketLayout:
    layout = BucketLayout(bucket)
    folders = ("explorer/index.html", "explorer/data/sheet-0000.jpg", "classifier/classifier.json")
    for name in (*RESULT_FILES, *OPTIONAL_FILES, *folders):
        body = json.dumps({"text": text}) if name == "run.json" else text
        s3.put_object(Bucket=bucket, Key=RunLayout(layout, run_id).result_file(name).key, Body=body.encode())
    s3.put_object(Bucket=bucket, Key=layout.latest.key, Body=json.dumps({"run_id": run_id}).encode())
    return layout


def test_the_results_that_latest_points_to_are_found(s3: "S3Client", bucket: str) -> None:
    published = read_published(s3, _publish(s3, bucket, RUN_ID, "first"))
    assert published.latest["run_id"] == RUN_ID
    assert published.run == {"text": "first"}


def test_nothing_published_is_an_error_that_says_so(s3: "S3Client", bucket: str) -> None:
    with pytest.raises(ResultsError, match=r"results/latest\.json is not there: no run has published"):
        read_published(s3, BucketLayout(bucket))


def test_out_holds_the_newest_results_and_nothing_else(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    copy_results(s3, _publish(s3, bucket, RUN_ID, "first"), RUN_ID, out)
    (out / "stale.csv").write_text("old")
    copy_results(s3, _publish(s3, bucket, RUN_ID, "second"), RUN_ID, out)
    assert {path.name for path in out.iterdir()} == set(RESULT_NAMES)
    assert (out / "matrix.csv").read_text() == "second"
    assert (out / "explorer" / "data" / "sheet-0000.jpg").read_text() == "second"
    assert list(out.parent.iterdir()) == [out], "nothing temporary stays"
    assert out.stat().st_mode & 0o777 == 0o755


def test_a_result_without_the_tables_for_excel_is_copied_without_them(
    s3: "S3Client", bucket: str, tmp_path: Path
) -> None:
    """One of an earlier version, or with more pictures than Excel holds."""
    layout = _publish(s3, bucket, RUN_ID, "first")
    for name in OPTIONAL_FILES:
        s3.delete_object(Bucket=bucket, Key=RunLayout(layout, RUN_ID).result_file(name).key)
    copy_results(s3, layout, RUN_ID, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(RESULT_NAMES) - set(OPTIONAL_FILES)


def test_out_stays_as_it_was_when_a_file_is_missing(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    layout = _publish(s3, bucket, RUN_ID, "first")
    copy_results(s3, layout, RUN_ID, tmp_path / "out")
    other = "manual__other"
    _publish(s3, bucket, other, "second")
    s3.delete_object(Bucket=bucket, Key=RunLayout(layout, other).result_file("report.html").key)
    with pytest.raises(ResultsError, match=r"report\.html could not be read"):
        copy_results(s3, layout, other, tmp_path / "out")
    assert (tmp_path / "out" / "matrix.csv").read_text() == "first"
    assert os.listdir(tmp_path) == ["out"]  # noqa: PTH208 (names alone)


def test_out_stays_as_it_was_when_the_explorer_is_missing(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    layout = _publish(s3, bucket, RUN_ID, "first")
    s3.delete_object(Bucket=bucket, Key=RunLayout(layout, RUN_ID).result_file("explorer/index.html").key)
    with pytest.raises(ResultsError, match=r"explorer/index\.html is not there"):
        copy_results(s3, layout, RUN_ID, tmp_path / "out")
    assert os.listdir(tmp_path) == []  # noqa: PTH208 (names alone)


def test_a_link_to_a_folder_stays_a_link(s3: "S3Client", bucket: str, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real"
    real.mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    copy_results(s3, _publish(s3, bucket, RUN_ID, "first"), RUN_ID, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (real / "matrix.csv").read_text() == "first"


def test_the_former_results_stay_when_the_new_ones_cannot_take_their_place(
    s3: "S3Client", bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after Ctrl-C between the two renames."""
    out = tmp_path / "out"
    copy_results(s3, _publish(s3, bucket, RUN_ID, "first"), RUN_ID, out)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target == out and self.name != out.name:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy_results(s3, _publish(s3, bucket, RUN_ID, "second"), RUN_ID, out)
    assert (out / "matrix.csv").read_text() == "first"
    assert list(tmp_path.iterdir()) == [out], "nothing temporary stays"

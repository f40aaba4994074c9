"""The quality of a run from what its step `pca` judged: the classifier, the duplicates and `quality.json`."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from verger_rules.csv_text import harmless_rows, to_text_csv
from verger_rules.disk_database import DiskDatabase
from verger_rules.excel_csv import excel_file, excel_name

from verger.quality.classifier import Examples, choose_examples, describe_classifier, fit_all
from verger.quality.duplicates import find_duplicates
from verger.quality.judged_images import JudgedImages, read_judged
from verger.quality.logistic import Matrix
from verger.quality.saved_classifier import delete_classifier, save_classifier
from verger.storage.byte_objects import put_bytes
from verger.storage.json_objects import write_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FORMAT = 1
QUALITY = "quality.json"
DUPLICATES = "duplicates.csv"
#: Images projected at a time: 10 MB.
_ROWS = 1024


@dataclass(frozen=True)
class Quality:
    """What is known of the quality of a run.

    Attributes:
        report: the content of `quality.json`.
        duplicates: one row per image of a group; schema `duplicates.SCHEMA`.
    """

    report: Mapping[str, Any]
    duplicates: pa.Table


def find_quality(
    s3: "S3Client", run: RunLayout, lists: DiskDatabase, manifest: Path, of_images: int, test_folder: str
) -> Quality | None:
    """Find a run's quality and save its classifier; None for one whose step judged nothing (of an earlier version).

    Args:
        s3: of the bucket.
        run: the run.
        lists: a database for work on the disk.
        manifest: the file with all its images.
        of_images: how many of them have features.
        test_folder: see `verger_rules.split`.
    """
    judged = read_judged(s3, run, lists.folder)
    if judged is None:
        return None
    examples = choose_examples(judged, _components(s3, run, judged))
    duplicates = find_duplicates(lists, manifest, judged, of_images, test_folder)
    found = {name: value for name, value in judged.found.items() if name != "near_bound"}
    report = {
        "format": FORMAT,
        **found,
        "images": len(judged),
        "of_images": of_images,
        "classifier": describe_classifier(examples) if examples else None,
        "duplicates": duplicates.counts,
    }
    if examples:
        _save_classifier(s3, run, examples, report)
    else:
        delete_classifier(s3, run)
    return Quality(report, duplicates.rows())


def summarize(report: Mapping[str, Any]) -> dict[str, Any]:
    """What `run.json` holds of it."""
    kept = ("sentence", "chosen", "images", "judged", "features")
    of_k = next((row for row in report["by_k"] if row["k"] == report["k"]), None)
    classifier, split = report["classifier"], report["split"]
    return {
        **{name: report[name] for name in kept},
        "components": of_k,
        "split": split and {name: split[name] for name in ("training", "test", "near_duplicates", "features")},
        "classifier": classifier and {name: classifier[name] for name in ("tested_on", "components", "features")},
        "duplicates": report["duplicates"],
    }


def _save_classifier(s3: "S3Client", run: RunLayout, examples: Examples, report: Mapping[str, Any]) -> None:
    described = {
        "run_id": run.run_id,
        "model_fingerprint": report["model_fingerprint"],
        "accuracy": report["classifier"]["features"]["accuracy"],
        "tested_on": report["classifier"]["tested_on"],
    }
    save_classifier(s3, run, fit_all(examples), examples, described)


def _components(s3: "S3Client", run: RunLayout, judged: JudgedImages) -> Matrix:
    """The judged images in the matrix, [n, k]: projected once more, since the matrix may be too large to look into."""
    address = run.result_file("pca_model/model.npz")
    content = s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()
    with np.load(io.BytesIO(content), allow_pickle=False) as model:
        mean, scale, components = (np.asarray(model[name]) for name in ("mean", "scale", "components"))
    blocks = (judged.features[start : start + _ROWS].astype(np.float64) for start in range(0, len(judged), _ROWS))
    scores: npt.NDArray[np.float64] = np.concatenate([((block - mean) / scale) @ components.T for block in blocks])
    return scores


def write_quality(s3: "S3Client", run: RunLayout, quality: Quality) -> None:
    """Write `quality.json` and the list of duplicates, as CSV and for Excel, into the run's results."""
    rows = quality.duplicates
    as_csv = to_text_csv([rows.column_names, *harmless_rows(rows)])
    for name, content in ((DUPLICATES, as_csv), (excel_name(DUPLICATES), excel_file(rows))):
        put_bytes(s3, run.result_file(name), content, "text/csv; charset=utf-8")
    write_json(s3, run.result_file(QUALITY), quality.report)

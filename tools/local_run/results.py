"""Reads what a run published and copies it to a folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from verger.storage.layout import BucketLayout, RunLayout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client
    from verger_rules.addresses import S3Address

#: The files of a result, and its folder: the explorer.
RESULT_FILES = ("matrix.csv", "matrix.parquet", "explained_variance.csv", "rejects.csv", "run.json", "report.html")
#: What an earlier version did not write, and what is left out where there are more rows than Excel holds.
OPTIONAL_FILES = (
    "matrix-excel.csv", "rejects-excel.csv", "explained_variance-excel.csv",
    "quality.json", "duplicates.csv", "duplicates-excel.csv",
)  # fmt: skip
EXPLORER = "explorer"
CLASSIFIER = "classifier"
RESULT_NAMES = (*RESULT_FILES, *OPTIONAL_FILES, EXPLORER, CLASSIFIER)
_THREADS = 8


class ResultsError(Exception):
    """Results that should be there are not."""


@dataclass(frozen=True)
class Published:
    """The results that `latest.json` points to: the pointer, and the run as its `run.json` describes it."""

    latest: Mapping[str, Any]
    run: Mapping[str, Any]


def read_object(s3: S3Client, bucket: str, key: str) -> dict[str, Any] | None:
    """A JSON object from S3; None when it is not there."""
    try:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
            return None
        raise
    values: dict[str, Any] = json.loads(body)
    return values


def read_published(s3: S3Client, layout: BucketLayout) -> Published:
    """What `latest.json` points to. Raises ResultsError when nothing was published yet."""
    latest = read_object(s3, layout.bucket, layout.latest.key)
    if latest is None:
        raise ResultsError(f"{layout.latest.uri} is not there: no run has published results yet")
    address = RunLayout(layout, latest["run_id"]).result_file("run.json")
    run = read_object(s3, address.bucket, address.key)
    if run is None:
        raise ResultsError(f"{address.uri} is not there, though latest.json points to it")
    return Published(latest, run)


def copy_results(s3: S3Client, layout: BucketLayout, run_id: str, out: Path) -> None:
    """Makes `out` hold the results of a run and nothing else; it changes as a whole, when all files have arrived."""
    target = out.resolve()  # a link stays a link, to a folder with the new results, wherever that lies
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name in (*RESULT_FILES, *OPTIONAL_FILES):
            address = RunLayout(layout, run_id).result_file(name)
            try:
                s3.download_file(address.bucket, address.key, str(fresh / name))
            except ClientError as error:
                if name in OPTIONAL_FILES and error.response.get("Error", {}).get("Code") == "404":
                    continue
                raise ResultsError(f"{address.uri} could not be read: {error}") from None
        explorer = RunLayout(layout, run_id).result_file(f"{EXPLORER}/")
        if "index.html" not in _copy_folder(s3, explorer, fresh / EXPLORER):
            raise ResultsError(f"{explorer.uri}index.html is not there: the explorer was not published")
        _copy_folder(s3, RunLayout(layout, run_id).result_file(f"{CLASSIFIER}/"), fresh / CLASSIFIER)
        fresh.chmod(0o755)
        _put_in_place(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _copy_folder(s3: S3Client, folder: S3Address, target: Path) -> set[str]:
    """Copy what is below a folder, whose key ends in `/`; the names of what was copied."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def copy(key: str) -> None:
        path = target / key.removeprefix(folder.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(folder.bucket, key, str(path))

    with ThreadPoolExecutor(_THREADS) as threads:
        try:
            list(threads.map(copy, keys))
        except ClientError as error:
            raise ResultsError(f"{folder.uri} could not be read: {error}") from None
    return {key.removeprefix(folder.key) for key in keys}


def _put_in_place(fresh: Path, target: Path) -> None:
    """Rename a folder to one that may be there; whatever interrupts it, the former or the new one is there after."""
    if not target.exists():
        fresh.rename(target)
        return
    former = Path(tempfile.mkdtemp(prefix=f".{target.name}-former-", dir=target.parent)) / target.name
    try:
        target.rename(former)
        fresh.rename(target)
    finally:
        if former.exists() and not target.exists():
            former.rename(target)
        shutil.rmtree(former.parent, ignore_errors=True)

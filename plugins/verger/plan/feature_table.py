"""Reads the feature table's commit records, and which images it holds (docs/formats.md)."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COMMIT_FORMAT = 1
_THREADS = 16
_LISTINGS = 5


@dataclass(frozen=True)
class Commit:
    """One committed chunk: its rows and files in both tables.

    Attributes:
        name: `<slug>.<chunk as 5 digits>`, the record's file without `.json`.
        features: keys of the files of features.
        rejects: keys of the files of rejects.
        replaces: names of the commits whose rows this one holds.
    """

    name: str
    features: tuple[str, ...]
    rejects: tuple[str, ...]
    replaces: tuple[str, ...]


def parse_commit(name: str, record: Mapping[str, Any], layout: BucketLayout, fingerprint: str) -> Commit:
    """Read one commit record; raises ValueError when it is of another format or another model."""
    if record.get("format") != COMMIT_FORMAT or record.get("model_fingerprint") != fingerprint:
        raise ValueError(
            f"commit record {name!r} is of format {record.get('format')!r} and model "
            f"{record.get('model_fingerprint')!r}, not {COMMIT_FORMAT} and {fingerprint!r}: "
            "this Verger cannot read that feature table"
        )
    features, rejects = layout.features_prefix(fingerprint), layout.rejects_prefix(fingerprint)
    return Commit(
        name=name,
        features=tuple(features + file for file in record["features"]["files"]),
        rejects=tuple(rejects + file for file in record["rejects"]["files"]),
        replaces=tuple(record["replaces"]),
    )


def visible_commits(commits: Iterable[Commit]) -> list[Commit]:
    """The commits that count: those that no other one replaces, in the order of their names."""
    found = list(commits)
    replaced = {name for commit in found for name in commit.replaces}
    return sorted((commit for commit in found if commit.name not in replaced), key=lambda commit: commit.name)


def list_commits(s3: "S3Client", layout: BucketLayout, fingerprint: str) -> list[Commit]:
    """Read every commit record of a model that counts.

    A record that was replaced and deleted between the listing and its reading makes it begin again: the record that
    holds its rows may not have been in that list.
    """
    for _ in range(_LISTINGS - 1):
        try:
            return visible_commits(read_commits(s3, layout, fingerprint))
        except s3.exceptions.NoSuchKey:
            continue
    return visible_commits(read_commits(s3, layout, fingerprint))


def read_commits(s3: "S3Client", layout: BucketLayout, fingerprint: str) -> list[Commit]:
    """Read every commit record of a model, replaced ones too."""
    prefix = layout.commits_prefix(fingerprint)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=layout.bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ()) if entry["Key"].endswith(".json")]

    def read(key: str) -> Commit:
        record = json.loads(s3.get_object(Bucket=layout.bucket, Key=key)["Body"].read())
        return parse_commit(key.removeprefix(prefix).removesuffix(".json"), record, layout, fingerprint)

    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(read, keys))


@dataclass(frozen=True)
class DoneImages:
    """The (path, etag) pairs that committed rows answer."""

    features: frozenset[tuple[str, str]]
    rejects: frozenset[tuple[str, str]]

    def answered(self, *, retry_rejects: bool) -> frozenset[tuple[str, str]]:
        """What needs no work; rejects that are to be tried again are not in it."""
        return self.features if retry_rejects else self.features | self.rejects


def read_done_images(filesystem: pyarrow.fs.FileSystem, bucket: str, commits: Iterable[Commit]) -> DoneImages:
    """Read the paths and etags of every committed row, and nothing else of the files."""
    found = list(commits)
    with ThreadPoolExecutor(_THREADS) as threads:

        def read(files: list[str]) -> frozenset[tuple[str, str]]:
            tables = threads.map(lambda key: _read_identities(filesystem, f"{bucket}/{key}"), files)
            return frozenset(pair for table in tables for pair in _pairs(table))

        return DoneImages(
            features=read([key for commit in found for key in commit.features]),
            rejects=read([key for commit in found for key in commit.rejects]),
        )


def _read_identities(filesystem: pyarrow.fs.FileSystem, path: str) -> pa.Table:
    with filesystem.open_input_file(path) as file:
        return pq.ParquetFile(file).read(columns=["path", "etag"])


def _pairs(table: pa.Table) -> Iterable[tuple[str, str]]:
    return zip(table["path"].to_pylist(), table["etag"].to_pylist(), strict=True)

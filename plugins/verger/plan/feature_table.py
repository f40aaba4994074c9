"""Reads the feature table's commit records, and which images it holds (docs/formats.md)."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq

from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COMMIT_FORMAT = 1
#: The version of the rules that the cluster's code decodes pictures by (`spark_jobs/decoder_version.py` says when it is
#: counted up; a contract test compares the two).
DECODER_VERSION = 2
#: What rows count as that were written before they told their decoder.
UNRECORDED_DECODER = 1
_THREADS = 16
_LISTINGS = 5

_Pairs = frozenset[tuple[str, str]]


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
    """The (path, etag) pairs that committed rows have.

    Attributes:
        features, rejects: of rows that this version of the decoder made.
        otherwise: of features and rejects that another version made, which answer nothing.
    """

    features: frozenset[tuple[str, str]]
    rejects: frozenset[tuple[str, str]]
    otherwise: frozenset[tuple[str, str]] = frozenset()

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all rows."""
        return frozenset(path for pairs in (self.features, self.rejects, self.otherwise) for path, _ in pairs)

    def answered(self, *, retry_rejects: bool) -> frozenset[tuple[str, str]]:
        """What needs no work; rejects that are to be tried again are not in it."""
        return self.features if retry_rejects else self.features | self.rejects


def read_done_images(filesystem: pyarrow.fs.FileSystem, bucket: str, commits: Iterable[Commit]) -> DoneImages:
    """Read the path, the etag and the decoder of every committed row, and nothing else of the files."""
    found = list(commits)
    with ThreadPoolExecutor(_THREADS) as threads:

        def read(files: list[str]) -> tuple[_Pairs, _Pairs]:
            """The pairs of rows of this decoder, and of others."""
            ours, others = set[tuple[str, str]](), set[tuple[str, str]]()
            for table in threads.map(lambda key: read_identities(filesystem, f"{bucket}/{key}"), files):
                made_now = pc.equal(table["decoder"], DECODER_VERSION)
                ours.update(_pairs(table.filter(made_now)))
                others.update(_pairs(table.filter(pc.invert(made_now))))
            return frozenset(ours), frozenset(others)

        features, features_otherwise = read([key for commit in found for key in commit.features])
        rejects, rejects_otherwise = read([key for commit in found for key in commit.rejects])
        return DoneImages(features, rejects, features_otherwise | rejects_otherwise)


def read_identities(filesystem: pyarrow.fs.FileSystem, path: str) -> pa.Table:
    """The columns path, etag and decoder (never null) of one file of the table; one of before lacks the last."""
    with filesystem.open_input_file(path) as stream:
        file = pq.ParquetFile(stream, pre_buffer=True)
        told = "decoder" in file.schema_arrow.names
        table = file.read(columns=["path", "etag", "decoder"] if told else ["path", "etag"])
    unrecorded = pa.scalar(UNRECORDED_DECODER, pa.int32())
    decoder = table["decoder"].fill_null(unrecorded) if told else pa.repeat(unrecorded, table.num_rows)
    return pa.table({"path": table["path"], "etag": table["etag"], "decoder": decoder})


def _pairs(table: pa.Table) -> Iterable[tuple[str, str]]:
    return zip(table["path"].to_pylist(), table["etag"].to_pylist(), strict=True)

"""Small real feature tables, as featurize leaves them."""

import io
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mypy_boto3_s3 import S3Client
from verger_rules.addresses import S3Address
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import (
    TableFile,
    TablePlace,
    commit_chunk,
    live_files,
    next_chunk,
    open_table,
    store_options,
)
from verger_rules.layout import chunk_folder, run_slug, table_folder
from verger_rules.model import FEATURES
from verger_rules.schemas import FEATURIZED, OUTCOME, REJECTED, TABLE_FILE, image_id

FINGERPRINT = "0123456789abcdef"
REGION = "eu-west-1"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """One row to store: a feature row, whose features are all `value`, or a reject row."""

    path: str
    etag: str = "1"
    label: str = "Apple"
    value: float | None = 1.0
    decoder: int = DECODER_VERSION
    read_etag: str | None = None

    @property
    def outcome(self) -> str:
        return REJECTED if self.value is None else FEATURIZED


def table_of(rows: Sequence[Row], slug: str = "r", computed_at: datetime = NOON) -> pa.Table:
    """Rows with the schema of a file of the table."""
    return pa.Table.from_pylist([_row(row, slug, computed_at) for row in rows], schema=TABLE_FILE)


def _row(row: Row, slug: str, computed_at: datetime) -> Mapping[str, object]:
    known = {
        "path": row.path,
        "etag": row.etag,
        "read_etag": row.read_etag or row.etag,
        "decoder": row.decoder,
        "label": row.label,
        "run": slug,
        "computed_at": computed_at,
        "image_id": image_id(row.path),
    }
    if row.value is None:
        return {**known, "stage": "decode", "reason": "truncated", "detail": ""}
    return {
        **known,
        "width": 100,
        "height": 50,
        "thumbnail": b"thumbnail of " + row.path.encode(),
        "features": np.full(FEATURES, row.value, np.float32),
    }


def parquet(table: pa.Table) -> bytes:
    """A table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def place_of(s3: S3Client, bucket: str, fingerprint: str = FINGERPRINT) -> TablePlace:
    """The feature table of a bucket, with the credentials that this process has."""
    endpoint = str(s3.meta.endpoint_url)
    keys = {name: os.environ.get(name, "testing") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    return TablePlace(table_folder(S3Address(bucket, "features"), fingerprint), store_options(REGION, endpoint, keys))


def put_chunk(
    s3: S3Client, bucket: str, run_id: str, rows: Sequence[Row], *, at: int = 0, fingerprint: str = FINGERPRINT
) -> list[str]:
    """Store a chunk's rows, computed at second `at` after noon, and commit them; the keys of its files."""
    slug, place = run_slug(run_id), place_of(s3, bucket, fingerprint)
    chunk = next_chunk(open_table(place), slug)
    files = put_files(s3, place, slug, chunk, rows, at=at)
    assert commit_chunk(place, slug, chunk, files)
    return [place.folder.child(file.name).key for file in files]


def put_files(
    s3: S3Client, place: TablePlace, slug: str, chunk: int, rows: Sequence[Row], *, at: int = 0
) -> list[TableFile]:
    """Store a chunk's rows, which count for nobody until they are committed."""
    files = []
    for outcome in (FEATURIZED, REJECTED):
        if found := [row for row in rows if row.outcome == outcome]:
            content = parquet(table_of(found, slug, NOON + timedelta(seconds=at)))
            name = f"{chunk_folder(outcome, slug, chunk)}/00000-{uuid.uuid4().hex}.parquet"
            address = place.folder.child(name)
            s3.put_object(Bucket=address.bucket, Key=address.key, Body=content)
            files.append(TableFile(name, outcome, len(found), len(content)))
    return files


def visible_rows(s3: S3Client, bucket: str, fingerprint: str = FINGERPRINT) -> pa.Table:
    """The rows that readers of the table see, with their outcome, by path."""
    place = place_of(s3, bucket, fingerprint)
    tables = [
        read_object(s3, place.folder.child(file.name)).append_column(OUTCOME, pa.array([file.outcome] * file.rows))
        for file in live_files(open_table(place))
    ]
    if not tables:
        return TABLE_FILE.append(pa.field(OUTCOME, pa.string())).empty_table()
    wanted = TABLE_FILE.append(pa.field(OUTCOME, pa.string()))
    return pa.concat_tables([table.cast(wanted) for table in tables]).sort_by("path")


def read_object(s3: S3Client, address: S3Address) -> pa.Table:
    """A Parquet object."""
    return pq.read_table(io.BytesIO(s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()))


def keys_below(s3: S3Client, bucket: str, prefix: str = "") -> set[str]:
    """The keys of a bucket's current objects below a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

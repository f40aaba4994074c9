"""Small real feature tables: Parquet files and commit records, as featurize leaves them."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from mypy_boto3_s3 import S3Client

from spark_jobs.decoder_version import DECODER_VERSION
from spark_jobs.layout import run_slug
from spark_jobs.schemas import FEATURE_TABLE, FEATURES, REJECT

FINGERPRINT = "0123456789abcdef"


@dataclass(frozen=True)
class Row:
    """One row to store: a feature row, whose features are all `value`, or a reject row.

    Rows without a decoder are in a file without that column, as files were before there was one.
    """

    path: str
    etag: str = "1"
    label: str = "Apple"
    value: float | None = 1.0
    decoder: int | None = DECODER_VERSION

    @property
    def rejected(self) -> bool:
        return self.value is None


def table_of(rows: Sequence[Row], *, features: bool) -> pa.Table:
    """The rows of one kind, with the schema of their table."""
    table = _whole_table(rows, features=features)
    return table.drop_columns("decoder") if not pc.is_valid(table["decoder"]).to_numpy().any() else table


def _whole_table(rows: Sequence[Row], *, features: bool) -> pa.Table:
    chosen = [row for row in rows if row.rejected != features]
    common = {name: [getattr(row, name) for row in chosen] for name in ("path", "etag", "decoder", "label")}
    if not features:
        reasons = {"stage": ["decode"] * len(chosen), "reason": ["truncated"] * len(chosen)}
        return pa.table({**common, **reasons, "detail": [""] * len(chosen)}, schema=REJECT)
    return pa.table(
        {
            **common,
            "width": [100] * len(chosen),
            "height": [50] * len(chosen),
            "thumbnail": [b"thumbnail of " + row.path.encode() for row in chosen],
            "note": [None] * len(chosen),
            "features": [np.full(FEATURES, row.value, np.float32) for row in chosen],
        },
        schema=FEATURE_TABLE,
    )


def parquet(table: pa.Table) -> bytes:
    """A table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def put_commit(
    s3: S3Client,
    bucket: str,
    run_id: str,
    rows: Sequence[Row],
    *,
    chunk: int = 0,
    at: int = 0,
    replaces: Sequence[str] = (),
    fingerprint: str = FINGERPRINT,
) -> str:
    """Store a chunk's rows and its record, committed at second `at`; the record's name."""
    slug = run_slug(run_id)
    named: dict[str, Any] = {}
    for root in ("features", "rejects"):
        table = table_of(rows, features=root == "features")
        files = [f"run={slug}/chunk={chunk}/part-0.parquet"] if table.num_rows else []
        for file in files:
            s3.put_object(Bucket=bucket, Key=f"{root}/model={fingerprint}/{file}", Body=parquet(table))
        named[root] = {"rows": table.num_rows, "files": files}
    record = {
        "format": 1,
        "run_id": run_id,
        "model_fingerprint": fingerprint,
        "chunk": chunk,
        "committed_at": f"2026-11-21T12:{at // 60:02d}:{at % 60:02d}Z",
        **named,
        "replaces": list(replaces),
    }
    name = f"{slug}.{chunk:05d}"
    s3.put_object(Bucket=bucket, Key=f"features/model={fingerprint}/_commits/{name}.json", Body=json.dumps(record))
    return name


def keys_below(s3: S3Client, bucket: str, prefix: str = "") -> set[str]:
    """The keys of a bucket's current objects below a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"] for page in pages for entry in page.get("Contents", ())}

"""The Parquet schemas of docs/formats.md, declared once for this side."""

import pyarrow as pa

from spark_jobs.model_shape import FEATURES

__all__ = [
    "ANSWER",
    "FEATURES",
    "FEATURE_COLUMNS",
    "FEATURE_TABLE",
    "MANIFEST",
    "REJECT",
    "REJECT_COLUMNS",
    "STAGES",
]

STAGES = ("read", "decode", "infer")

MANIFEST = pa.schema([("path", pa.string()), ("etag", pa.string()), ("label", pa.string()), ("size", pa.int64())])

# `decoder` lies beside path and etag: what finds rows reads these three and nothing between them.
FEATURE_COLUMNS = ("path", "etag", "decoder", "label", "width", "height", "thumbnail", "note", "features")
REJECT_COLUMNS = ("path", "etag", "decoder", "label", "stage", "reason", "detail")

# One row an image, as a worker answers it: a feature row has no stage, a reject row no features.
ANSWER = pa.schema(
    [
        ("path", pa.string()),
        ("etag", pa.string()),
        ("decoder", pa.int32()),
        ("label", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("thumbnail", pa.binary()),
        ("note", pa.string()),
        ("features", pa.list_(pa.float32())),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
FEATURE_TABLE = pa.schema([ANSWER.field(name) for name in FEATURE_COLUMNS])
REJECT = pa.schema([ANSWER.field(name) for name in REJECT_COLUMNS])

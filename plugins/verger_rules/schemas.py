"""The Parquet schemas of docs/formats.md, each declared once."""

import hashlib

import pyarrow as pa

STAGES = ("read", "decode", "infer")

MANIFEST = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("etag", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
    ]
)

#: The partition column of the feature table, and its two values.
OUTCOME = "outcome"
FEATURIZED, REJECTED = "featurized", "rejected"

# One row an image, as a worker answers it and a file of the feature table holds it: a row with features has no stage, a
# reject no features. Delta Lake has no list of a fixed size.
TABLE_FILE = pa.schema(
    [
        # What finds rows reads these columns, which lie together, and nothing else of a file.
        ("path", pa.string()),
        ("read_etag", pa.string()),
        ("decoder", pa.int32()),
        ("run", pa.string()),
        ("computed_at", pa.timestamp("us", "UTC")),
        ("image_id", pa.string()),
        ("etag", pa.string()),
        ("label", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("note", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("thumbnail", pa.binary()),
        ("features", pa.list_(pa.field("element", pa.float32()))),
    ]
)
#: The same with the partition column, which Delta Lake keeps in its log and not in the files.
TABLE = TABLE_FILE.append(pa.field(OUTCOME, pa.string()))
#: What finds rows.
KEYS = pa.schema([TABLE_FILE.field(name) for name in ("path", "read_etag", "decoder", "run", "computed_at")])

# One row for each image of a manifest, in its order: the row of the feature table that answers it, or why none has
# features. `file` is relative to the table.
ANSWERS = pa.schema(
    [
        ("path", pa.string()),
        ("label", pa.string()),
        ("etag", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
#: Rows of a file of answers: so many that a run has few files, few enough for a small machine's memory.
ANSWERS_ROWS = 1_000_000


def image_id(path: str) -> str:
    """What names an image where its path must not stand: 32 hex digits of the path's SHA-256.

    An erasure's predicate stands in the table's log, and a path may name a person.
    """
    return hashlib.sha256(path.encode()).hexdigest()[:32]

"""The classifier of a run as files of its results: arrays without pickle, and a description that vouches for them."""

import hashlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.unit_vectors import unit_vectors

from verger.quality.classifier import Examples
from verger.quality.folds import draw_evenly
from verger.quality.judged_images import Features
from verger.quality.logistic import LogisticRegression
from verger.storage.byte_objects import put_bytes
from verger.storage.json_objects import write_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "classifier"
FORMAT = 1
IMAGE_MODEL = "model.tflite"
CLASSIFIER = "classifier.npz"
REFERENCES = "references.parquet"
DESCRIPTION = "classifier.json"
#: Images that a new picture is held against to tell whether it is like any: 5 MB.
MOST_REFERENCES = 1_000
#: Of the known images so many in a hundred are nearer to another one than the bound for what is unlike all.
KNOWN_SHARE = 0.99
_ANY_BYTES = "application/octet-stream"


def save_classifier(
    s3: "S3Client", run: RunLayout, model: LogisticRegression, examples: Examples, described: Mapping[str, Any]
) -> None:
    """Write what `tools/identify.py` needs below `results/<slug>/classifier/`; `classifier.json`, the last, vouches.

    The image model is copied there by S3 itself, so that the results of a run are enough.

    Args:
        s3: of the bucket.
        run: the run.
        model: learnt from all examples.
        examples: the images.
        described: of `classifier.json`, what the run knows.
    """
    chosen = draw_evenly(examples.codes, MOST_REFERENCES)
    references = unit_vectors(examples.features[chosen])
    rows = {
        "path": [examples.paths[at] for at in chosen.tolist()],
        "label": [examples.labels[code] for code in examples.codes[chosen].tolist()],
        "features": pa.FixedSizeListArray.from_arrays(pa.array(references.ravel()), references.shape[1]),
    }
    put_bytes(s3, run.result_file(f"{FOLDER}/{REFERENCES}"), _as_parquet(pa.table(rows)), _ANY_BYTES)
    stored = run.layout.model_key(described["model_fingerprint"], IMAGE_MODEL)
    target = run.result_file(f"{FOLDER}/{IMAGE_MODEL}")
    s3.copy_object(Bucket=target.bucket, Key=target.key, CopySource={"Bucket": run.layout.bucket, "Key": stored})
    content = _as_npz(model)
    put_bytes(s3, run.result_file(f"{FOLDER}/{CLASSIFIER}"), content, _ANY_BYTES)
    description = {
        "format": FORMAT,
        **described,
        "labels": examples.labels,
        "images": len(examples.codes),
        "unlike_distance": round(unlike_distance(references), 6),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_json(s3, run.result_file(f"{FOLDER}/{DESCRIPTION}"), description)


def delete_classifier(s3: "S3Client", run: RunLayout) -> None:
    """Delete what an earlier publishing of the run left: it names pictures that need not be in it any more."""
    # First what vouches for the others.
    for name in (DESCRIPTION, CLASSIFIER, REFERENCES, IMAGE_MODEL):
        address = run.result_file(f"{FOLDER}/{name}")
        s3.delete_object(Bucket=address.bucket, Key=address.key)


def _as_parquet(table: pa.Table) -> bytes:
    stored = io.BytesIO()
    pq.write_table(table, stored, compression="zstd")
    return stored.getvalue()


def _as_npz(model: LogisticRegression) -> bytes:
    stored = io.BytesIO()
    np.savez(stored, coefficients=model.coefficients.astype(np.float32), intercept=model.intercept.astype(np.float32))
    return stored.getvalue()


def unlike_distance(references: Features) -> float:
    """The cosine distance to the nearest other reference within which KNOWN_SHARE of them are."""
    cosines = references @ references.T
    np.fill_diagonal(cosines, -1.0)
    return float(np.quantile(1.0 - cosines.max(axis=1), KNOWN_SHARE))

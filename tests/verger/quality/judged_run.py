"""A run as its step `pca` leaves it for publishing: some images of three labels, with features."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from mypy_boto3_s3 import S3Client
from verger.quality.judged_images import JudgedImages
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.addresses import S3Address
from verger_rules.layout import JUDGED_IMAGES, JUDGEMENT
from verger_rules.schemas import MANIFEST

FINGERPRINT = "f" * 16
IMAGES = "s3://fruits/images/"


def features_of(labels: Sequence[str], *, spread: float = 1.5, seed: int = 3) -> npt.NDArray[np.float32]:
    """Features around the middle of each label, [n, 1280]."""
    random = np.random.default_rng(seed)
    names = sorted(set(labels))
    middles = random.normal(size=(len(names), 1280))
    which = [names.index(label) for label in labels]
    noise = random.normal(size=(len(labels), 1280)) * spread
    return np.maximum(middles[which] + noise, 0).astype(np.float32)


def judged_images(
    labels: Sequence[str],
    features: npt.NDArray[np.float32] | None = None,
    *,
    parts: Sequence[str] | None = None,
    near: Sequence[Sequence[int]] = (),
    folders: Sequence[str] | None = None,
) -> JudgedImages:
    """Images of some labels; `near` are groups of numbers of near-duplicates."""
    count = len(labels)
    groups: list[int | None] = [None] * count
    for group in near:
        for number in group:
            groups[number] = min(group)
    above = folders or [""] * count
    paths = [
        f"{IMAGES}{folder}{label}/{at:04}.jpg" for at, (folder, label) in enumerate(zip(above, labels, strict=True))
    ]
    table = pa.table(
        {
            "path": paths,
            "label": list(labels),
            "part": list(parts or [""] * count),
            "near_group": pa.array(groups, pa.int64()),
            "similarity": pa.array([0.5 if group is None else 0.97 for group in groups], pa.float32()),
        }
    )
    found: dict[str, Any] = {
        "near_bound": 0.93,
        "split": {"training": 1} if parts else None,
        "by_k": [],
        "features": None,
        "k": 2,
        "chosen": "2 components were asked for",
        "sentence": "So it is.",
        "labels": len(set(labels)),
        "judged": count,
        "model_fingerprint": FINGERPRINT,
    }
    return JudgedImages(found, table, features_of(labels) if features is None else features)


def put_judged(s3: S3Client, bucket: str, judged: JudgedImages, folder: Path, etags: Sequence[str]) -> RunLayout:
    """Store what the step leaves, and write the run's manifest into a folder of this machine."""
    run = RunLayout(BucketLayout(bucket), "manual__1")
    features = pa.FixedSizeListArray.from_arrays(pa.array(judged.features.ravel()), 1280)
    stored = io.BytesIO()
    pq.write_table(judged.images.append_column("features", features), stored)
    _put(s3, run.run_file(JUDGED_IMAGES), stored.getvalue())
    write_json(s3, run.run_file(JUDGEMENT), judged.found)
    components = np.linalg.qr(np.random.default_rng(0).normal(size=(1280, 2)))[0].T
    model = io.BytesIO()
    np.savez(model, mean=judged.features.mean(axis=0), scale=np.ones(1280), components=components)
    _put(s3, run.result_file("pca_model/model.npz"), model.getvalue())
    _put(s3, run.layout.address(run.layout.model_key(FINGERPRINT, "model.tflite")), b"a model")
    rows = {
        "path": judged.images["path"],
        "etag": list(etags),
        "label": judged.images["label"],
        "size": [9] * len(etags),
    }
    pq.write_table(pa.table(rows).select(MANIFEST.names).cast(MANIFEST), folder / "manifest.parquet")
    return run


def _put(s3: S3Client, address: S3Address, content: bytes) -> None:
    s3.put_object(Bucket=address.bucket, Key=address.key, Body=content)

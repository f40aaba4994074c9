"""The row of one image, with features or as a reject, and rows as Arrow."""

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.model import FEATURES
from verger_rules.schemas import TABLE_FILE, image_id

from spark_jobs.worker.decode import DecodedImage
from spark_jobs.worker.fetch import ImageItem


class Reject(NamedTuple):
    """Why an image has no features."""

    stage: str
    reason: str
    detail: str


class RowOrigin(NamedTuple):
    """What a row tells of where it comes from: the run's slug, and when its chunk was begun."""

    run: str
    computed_at: datetime


class Answer(NamedTuple):
    """One row to be: an image and either its decoded picture or its reject."""

    item: ImageItem
    etag: str
    picture: DecodedImage | None
    reject: Reject | None


def feature_row(answer: Answer, features: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of float32
    """The row of a picture; a reject when its features (float32 [1280]) are not all finite."""
    if not np.isfinite(features).all():
        wrong = int(np.count_nonzero(~np.isfinite(features)))
        return reject_row(answer, Reject("infer", "not_finite", f"{wrong} of {FEATURES} features"))
    picture = answer.picture
    if picture is None:
        raise TypeError(f"{answer.item.path} has features but no picture")
    return _row(
        answer,
        width=picture.width,
        height=picture.height,
        thumbnail=picture.thumbnail,
        note=picture.note,
        features=features,
    )


def reject_row(answer: Answer, reject: Reject) -> dict[str, Any]:
    """The row of an image without features."""
    return _row(answer, stage=reject.stage, reason=reject.reason, detail=reject.detail)


def _row(answer: Answer, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - cells of several types
    item = answer.item
    known = {
        "path": item.path,
        "read_etag": answer.etag,
        "decoder": DECODER_VERSION,
        "image_id": image_id(item.path),
        "etag": item.etag,
        "label": item.label,
    }
    return dict.fromkeys(TABLE_FILE.names) | known | values


def batch_of(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Arrow's columns of some rows; the features are copied as one block, not value by value."""
    columns = [
        _features([row["features"] for row in rows])
        if name == "features"
        else pa.array([row[name] for row in rows], TABLE_FILE.field(name).type)
        for name in TABLE_FILE.names
    ]
    return pa.RecordBatch.from_arrays(columns, schema=TABLE_FILE)


def _features(vectors: list[Any]) -> pa.ListArray:
    present = np.array([vector is not None for vector in vectors])
    values = np.concatenate([vector for vector in vectors if vector is not None] or [np.empty(0, np.float32)])
    offsets = np.concatenate([[0], np.cumsum(present * FEATURES)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, pa.float32()), mask=pa.array(~present))

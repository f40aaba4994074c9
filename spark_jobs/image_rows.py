"""What one worker does with its images: fetch, decode, infer, and one row for each, features or reject."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.model import FEATURES
from verger_rules.schemas import TABLE_FILE, image_id

from spark_jobs.decode import DecodedImage, UndecodableError, decode_image, prepare_pillow
from spark_jobs.fetch import FetchedImage, FetchLimits, ImageItem, fetch_ahead
from spark_jobs.infer import Engine
from spark_jobs.object_store import StoreSettings
from spark_jobs.telemetry import WorkerTimes

# Rows of one Arrow batch: 64 are 0.4 MB of features and thumbnails.
OUTPUT_ROWS = 64


class WorkLimits(NamedTuple):
    """Bounds of one worker; see docs/formats.md for the arguments behind them."""

    fetch: FetchLimits
    max_pixels: int
    take_damaged: bool
    batch_size: int


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


def answer_images(
    items: Iterable[ImageItem],
    origin: RowOrigin,
    settings: StoreSettings,
    limits: WorkLimits,
    engine: Engine,
    times: WorkerTimes,
    answered: Callable[[int], None],
) -> Iterator[pa.RecordBatch]:
    """Rows of schema TABLE_FILE, one for every item, in the items' order; `answered` is told of each few that are done.

    At any time it holds `batch_size` decoded pictures of 224 px, one full picture being decoded, OUTPUT_ROWS finished
    rows, and the fetched bytes that `limits.fetch` allows.
    """
    prepare_pillow()
    rows: list[dict[str, Any]] = []
    for group in _groups(_decoded(fetch_ahead(items, settings, limits.fetch), limits, times), limits.batch_size):
        rows.extend(row | origin._asdict() for row in _finished(group, engine, times))
        answered(len(group))
        if len(rows) >= OUTPUT_ROWS:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _decoded(fetched: Iterator[FetchedImage], limits: WorkLimits, times: WorkerTimes) -> Iterator[Answer]:
    waiting_since = time.perf_counter()
    for image in fetched:
        started = time.perf_counter()
        times.count_fetch(image, waited=started - waiting_since)
        answer = _decode(image, limits)
        times.decode += time.perf_counter() - started
        yield answer
        waiting_since = time.perf_counter()


def _decode(image: FetchedImage, limits: WorkLimits) -> Answer:
    if image.content is None:
        reject = Reject("read", image.reason, image.detail)
        return Answer(image.item, image.etag, None, reject)
    try:
        picture = decode_image(image.content, limits.max_pixels, take_damaged=limits.take_damaged)
        return Answer(image.item, image.etag, picture, None)
    except UndecodableError as error:
        return Answer(image.item, image.etag, None, Reject("decode", error.reason, str(error)))


def _groups(answers: Iterator[Answer], pictures: int) -> Iterator[list[Answer]]:
    """Cut a stream where it holds so many pictures; rejects ride along."""
    group: list[Answer] = []
    held = 0
    for answer in answers:
        group.append(answer)
        held += answer.picture is not None
        if held == pictures or len(group) >= OUTPUT_ROWS:
            yield group
            group, held = [], 0
    if group:
        yield group


def _finished(group: list[Answer], engine: Engine, times: WorkerTimes) -> Iterator[dict[str, Any]]:
    started = time.perf_counter()
    pixels = [answer.picture.pixels for answer in group if answer.picture is not None]
    features = iter(engine(np.stack(pixels)) if pixels else ())
    times.infer += time.perf_counter() - started
    for answer in group:
        yield _reject_row(answer, answer.reject) if answer.reject else _feature_row(answer, next(features))


def _feature_row(answer: Answer, features: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of float32
    if not np.isfinite(features).all():
        wrong = int(np.count_nonzero(~np.isfinite(features)))
        return _reject_row(answer, Reject("infer", "not_finite", f"{wrong} of {FEATURES} features"))
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


def _reject_row(answer: Answer, reject: Reject) -> dict[str, Any]:
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


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
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

"""Files of the table that an erasure wrote again: text and bytes of other kinds, which are read all the same."""

import io
from pathlib import Path

import pyarrow as pa
import pytest
from mypy_boto3_s3 import S3Client
from PIL import Image
from verger.publish.explorer.thumbnails import write_sheets
from verger.storage.aws_clients import arrow_filesystem
from verger_rules.delta_table import live_files, open_table
from verger_rules.layout import run_slug
from verger_rules.schemas import MANIFEST, REJECTED, image_id
from verger_rules.table_erasure import delete_images

from tests import stored_tables
from tests.answering_images import answers_now
from tests.stored_tables import Row, place_of, put_chunk, read_object


def small_jpeg() -> bytes:
    stored = io.BytesIO()
    Image.new("RGB", (32, 16), (200, 30, 40)).save(stored, "JPEG")
    return stored.getvalue()


@pytest.fixture
def erased(s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket whose table had two runs of features and rejects, before one of each of the first was erased."""
    row_of = stored_tables._row
    thumbnail = {"thumbnail": small_jpeg()}
    monkeypatch.setattr(stored_tables, "_row", lambda row, *more: {**row_of(row, *more), **thumbnail})
    put_chunk(s3, bucket, "first", [Row("a"), Row("b"), Row("c", value=None), Row("d", value=None)])
    put_chunk(s3, bucket, "second", [Row("e"), Row("f", value=None)], at=1)
    place = place_of(s3, bucket)
    delete_images(place, [image_id("a"), image_id("c")])
    return bucket


def answers_of(s3: S3Client, bucket: str) -> pa.Table:
    place = place_of(s3, bucket)
    files = live_files(open_table(place))
    assert sum(file.outcome == REJECTED for file in files) == 2
    listed = [{"path": path, "etag": "1", "label": "Apple", "size": 1} for path in "bdef"]
    return answers_now(
        pa.Table.from_pylist(listed, MANIFEST),
        files,
        lambda name, columns: read_object(s3, place.folder.child(name)).select(list(columns)),
        run_slug("third"),
    )


def test_images_beside_erased_ones_keep_their_answers(s3: S3Client, erased: str) -> None:
    answers = answers_of(s3, erased)
    assert [bool(file) for file in answers["file"].to_pylist()] == [True, False, True, False]
    assert answers["reason"].to_pylist() == [None, "truncated", None, "truncated"]


def test_pictures_beside_erased_ones_keep_their_thumbnails(s3: S3Client, erased: str, tmp_path: Path) -> None:
    answers = answers_of(s3, erased)
    pictures = answers.filter(answers["file"].is_valid())
    filesystem = arrow_filesystem(None, "eu-west-1")
    found = write_sheets(tmp_path, filesystem, place_of(s3, erased).folder, pictures)
    assert (found.slot.tolist(), found.thumbnail_width.tolist()) == ([0, 1], [32, 32])

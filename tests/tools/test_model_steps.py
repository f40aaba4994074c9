"""The steps of a preparation that need no TensorFlow."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from verger_rules.model import fingerprint

from tools.draw_images import Drawing, write_images
from tools.drawing.broken import encoded
from tools.model import agreement, pictures, publishing
from tools.model.identity import precision_name
from tools.model.refusal import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.sampled_from(["float32", "int8-0123456789abcdef"]))
def test_a_fingerprint_is_16_hex_digits_and_another_for_other_weights_or_precision(sha256: str, precision: str) -> None:
    found = fingerprint(sha256, precision)
    assert len(bytes.fromhex(found)) == 8
    assert found not in {fingerprint(sha256[::-1] + "0", precision), fingerprint(sha256, precision + "x")}


def test_only_int8_carries_its_calibration_in_its_name() -> None:
    assert precision_name("float32") == "float32"
    assert precision_name("int8", "ab" * 32) == "int8-abababababababab"


def test_pictures_of_a_bucket_with_hostile_keys_are_all_read(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    write_images(tmp_path, Drawing(images=60, labels=10), processes=1)
    files = sorted(path for path in tmp_path.rglob("*.jpg"))
    for path in files:
        s3.put_object(Bucket=bucket, Key=f"images/{path.relative_to(tmp_path).as_posix()}", Body=path.read_bytes())
    found, refused = pictures.read_evenly(f"s3://{bucket}/images", 1000)
    assert refused == []
    assert {picture.name for picture in found} == {f"images/{path.relative_to(tmp_path).as_posix()}" for path in files}


def test_a_limit_spreads_over_all_labels(tmp_path: Path) -> None:
    write_images(tmp_path, Drawing(images=60, labels=6), processes=1)
    found, _ = pictures.read_evenly(str(tmp_path), 12)
    assert len(found) == 12
    assert len({picture.name.split("/")[0] for picture in found}) == 6


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(RefusedError, match="no readable picture"):
        pictures.read_evenly(str(tmp_path), 10)
    with pytest.raises(RefusedError, match="is not a folder"):
        pictures.read_evenly(str(tmp_path / "missing"), 10)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK"])
def test_any_picture_becomes_rgb_of_the_models_size(mode: str) -> None:
    image = Image.new("RGB", (40, 30), (200, 30, 30)).convert(mode)
    picture = pictures.decoded("a", encoded(image, "TIFF"))
    assert picture.batch().shape == (1, 224, 224, 3)
    assert picture.batch().dtype == np.float32
    assert picture.pixels.max() > 70


def test_what_is_transparent_is_white() -> None:
    image = Image.new("RGBA", (40, 20), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 20, 20))
    pixels = pictures.decoded("a", encoded(image, "PNG")).pixels
    assert pixels[:, 140:].min() == 255
    assert pixels[0, 0].tolist() == [0, 0, 255]


def test_a_picture_is_turned_upright() -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste("black", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: the black half is on the right
    pixels = pictures.decoded("a", _with_exif(image, exif)).pixels
    assert pixels[:, :80].min() > 200
    assert pixels[:, 140:].max() < 60


def _with_exif(image: Image.Image, exif: Image.Exif) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif.tobytes())
    return buffer.getvalue()


def test_a_model_that_differs_from_keras_is_refused() -> None:
    features = np.random.default_rng(0).random((3, 1280), dtype=np.float32)
    assert agreement.checked_difference(features, features) == 0
    with pytest.raises(RefusedError, match=r"differs from Keras by 0\.1"):
        agreement.checked_difference(features, features + np.float32(0.1))
    with pytest.raises(RefusedError, match="differs from Keras by nan"):
        agreement.checked_difference(features, features * np.float32("nan"))


def test_weights_that_say_the_same_of_every_picture_are_refused() -> None:
    with pytest.raises(RefusedError, match="the same features"):
        agreement.checked_difference(np.ones((3, 1280), np.float32), np.ones((3, 1280), np.float32))


def test_the_cost_of_nothing_is_nothing_and_of_a_shuffle_much() -> None:
    features = np.random.default_rng(0).random((50, 1280), dtype=np.float32)
    same = agreement.cost(features, features)
    assert (same.pictures, same.neighbours_kept) == (50, 1.0)
    assert same.min_cosine == pytest.approx(1.0, abs=1e-5)
    assert agreement.cost(features, features[::-1]).neighbours_kept < 0.5


def _files(fingerprint_of_model: str) -> dict[str, bytes]:
    files = {"model.tflite": b"t", "weights.h5": b"w"}
    entries = {name: publishing.file_entry(data) for name, data in files.items()}
    description = {"format": 1, "fingerprint": fingerprint_of_model, "files": entries}
    return {**files, "model.json": json.dumps(description).encode()}


@pytest.mark.parametrize("name", ["model.tflite", "weights.h5", "model.json"])
def test_a_model_with_a_file_missing_or_damaged_counts_as_not_published(tmp_path: Path, name: str) -> None:
    store = publishing.store_of(str(tmp_path / "models"))
    files = _files("0123456789abcdef")
    publishing.publish(store, "0123456789abcdef", files)
    assert publishing.published(store, "0123456789abcdef") == files
    target = tmp_path / "models" / "0123456789abcdef" / name
    target.write_bytes(b"{}")
    assert publishing.published(store, "0123456789abcdef") is None
    target.unlink()
    assert publishing.published(store, "0123456789abcdef") is None


def test_a_model_under_the_wrong_fingerprint_counts_as_not_published(tmp_path: Path) -> None:
    store = publishing.store_of(str(tmp_path))
    publishing.publish(store, "f" * 16, _files("0" * 16))
    assert publishing.published(store, "f" * 16) is None


def test_an_address_without_a_bucket_is_refused() -> None:
    with pytest.raises(RefusedError, match="names no bucket"):
        publishing.store_of("s3:///models")

"""With the ImageNet weights, pictures of the same fruit lie close together: the model file itself, through LiteRT."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms

from spark_jobs.worker.decode import decode_image, prepare_pillow
from tools.drawing.broken import encoded
from tools.drawing.catalogue import labels
from tools.drawing.scene import Difficulty, draw
from tools.model import agreement, pictures
from tools.model.identity import sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.tools.model_program import Prepared

GOLDEN = Path(__file__).resolve().parents[1] / "spark_jobs" / "golden"

pytestmark = pytest.mark.shared


def right_neighbours(flatbuffer: bytes, some: Sequence[pictures.Picture], labels_of: Sequence[str]) -> float:
    """The share of pictures whose nearest neighbour by cosine, leave-one-out, has the same label."""
    features = agreement.litert_features(flatbuffer, some)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    likeness = unit @ unit.T
    np.fill_diagonal(likeness, -1.0)
    named = np.array(labels_of)
    return float((named[likeness.argmax(axis=1)] == named).mean())


def test_the_nearest_neighbour_of_nine_photographs_of_ten_has_the_right_label(
    imagenet_model: Prepared, shared: Path
) -> None:
    photos, refused = pictures.read_evenly(str(shared / "photos"), 1000)
    assert refused == []
    assert len(photos) > 100
    assert right_neighbours(imagenet_model.flatbuffer, photos, [photo.name.split("/")[0] for photo in photos]) >= 0.9


@pytest.mark.parametrize(("difficulty", "share"), [("easy", 0.98), ("hard", 0.7)])
def test_drawn_fruit_can_be_told_apart(imagenet_model: Prepared, difficulty: Difficulty, share: float) -> None:
    named = [label for label in labels(8) for _ in range(10)]
    drawn = [
        pictures.decoded(label, encoded(draw(label, index % 10, difficulty=difficulty)))
        for index, label in enumerate(named)
    ]
    assert right_neighbours(imagenet_model.flatbuffer, drawn, named) >= share


def test_the_converted_model_was_checked_on_real_photographs(imagenet_model: Prepared) -> None:
    assert imagenet_model.description()["weights"] == "file"
    assert imagenet_model.description()["checked_on"] == 48
    assert imagenet_model.description()["max_difference_from_keras"] <= 1e-4


def test_the_golden_vectors_are_those_of_the_model(imagenet_model: Prepared, shared: Path) -> None:
    golden = np.load(GOLDEN / "golden.npz")
    assert str(golden["weights_sha256"]) == imagenet_model.description()["weights_sha256"]
    found = []
    for name, sha256 in zip(golden["names"].tolist(), golden["sha256"].tolist(), strict=True):
        data = ((shared if name.startswith("photos/") else GOLDEN) / name).read_bytes()
        assert sha256_of(data) == sha256
        found.append(pictures.decoded(name, data))
    assert np.abs(agreement.litert_features(imagenet_model.flatbuffer, found) - golden["features"]).max() <= 1e-4


def converted_copy(photo: Image.Image) -> bytes:
    """The photograph in sRGB as somebody with a program for pictures makes it: without loss, and without a profile."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.info["icc_profile"]))
    copy = ImageCms.profileToProfile(photo, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert copy is not None
    return as_stored(copy, photo.getexif())


def as_stored(photo: Image.Image, exif: Image.Exif) -> bytes:
    """The same numbers without a profile."""
    stored = io.BytesIO()
    photo.save(stored, "PNG", exif=exif, icc_profile=None)
    return stored.getvalue()


def test_photographs_of_other_colours_have_the_features_of_their_copies_in_srgb(
    imagenet_model: Prepared, shared: Path
) -> None:
    """Every photograph whose profile says more than sRGB; without the profile some are far from their copy."""
    prepare_pillow()

    def pixels(content: bytes) -> pictures.Picture:
        return pictures.Picture("", "", decode_image(content, 100_000_000).pixels)

    found, copies, unheard = [], [], []
    for file in sorted((shared / "photos").rglob("*.jp*g")):
        with Image.open(file) as photo:
            if photo.mode != "RGB" or "icc_profile" not in photo.info:
                continue
            found.append(pixels(file.read_bytes()))
            copies.append(pixels(converted_copy(photo)))
            unheard.append(pixels(as_stored(photo, photo.getexif())))
    unit = [
        features / np.linalg.norm(features, axis=1, keepdims=True)
        for features in (
            agreement.litert_features(imagenet_model.flatbuffer, some) for some in (found, copies, unheard)
        )
    ]
    cosines, before = (unit[0] * unit[1]).sum(axis=1), (unit[2] * unit[1]).sum(axis=1)
    assert (before < 0.9995).sum() >= 8, before
    assert cosines.min() >= 0.9995, cosines

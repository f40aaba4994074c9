"""With the ImageNet weights, pictures of the same fruit lie close together: the model file itself, through LiteRT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

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

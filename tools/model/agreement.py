"""Does the converted model say what Keras says? And what does int8 cost?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from tools.model.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tools.model.pictures import Picture

    Features = NDArray[np.float32]

NEAR = 5
_KERAS_BATCH = 16
LARGEST_DIFFERENCE = 1e-4  # docs/formats.md: both engines agree to this, per feature


def keras_features(model: Any, pictures: Sequence[Picture]) -> Features:  # noqa: ANN401  # Keras ships no types
    """Keras' features (pictures x 1280) of pictures."""
    batches = [pictures[at : at + _KERAS_BATCH] for at in range(0, len(pictures), _KERAS_BATCH)]
    inputs = (np.concatenate([picture.batch() for picture in batch]) for batch in batches)
    return np.concatenate([model(batch / 127.5 - 1.0, training=False).numpy() for batch in inputs])


def litert_features(flatbuffer: bytes, pictures: Sequence[Picture]) -> Features:
    """LiteRT's features (pictures x 1280), one thread, one picture at a time."""
    interpreter = Interpreter(model_content=flatbuffer, num_threads=1)
    interpreter.allocate_tensors()
    given, asked = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    rows = []
    for picture in pictures:
        interpreter.set_tensor(given, picture.batch())
        interpreter.invoke()
        rows.append(interpreter.get_tensor(asked)[0].copy())
    return np.stack(rows)


def checked_difference(expected: Features, found: Features) -> float:
    """The largest difference of any feature of any picture.

    Raises:
        RefusedError: it is above `LARGEST_DIFFERENCE`, or the features are not finite or the same for every picture.
    """
    difference = float(np.abs(expected - found).max())
    if not difference <= LARGEST_DIFFERENCE:
        raise RefusedError(
            f"the converted model differs from Keras by {difference:.3g} (at most {LARGEST_DIFFERENCE:g} is allowed): "
            "it was not published"
        )
    if len(expected) > 1 and float(expected.std(axis=0).max()) == 0.0:
        raise RefusedError("these weights give every picture the same features: they are of no use")
    return difference


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a precision costs on pictures that it was not calibrated on.

    `min_cosine` and `mean_cosine` compare each picture's features with float32's; `neighbours_kept` is the share of
    pictures whose nearest neighbour (by cosine, among the same pictures) is one of the `NEAR` that float32 finds:
    which of several near-duplicates comes first is a matter of the last digit in any precision.
    """

    pictures: int
    min_cosine: float
    mean_cosine: float
    neighbours_kept: float


def cost(reference: Features, found: Features) -> Cost:
    """Compares features (pictures x 1280, the same order) with float32's."""
    first, second = _unit(reference), _unit(found)
    cosines = (first * second).sum(axis=1)
    kept = (_nearest(first, NEAR) == _nearest(second, 1)).any(axis=1)
    return Cost(len(first), float(cosines.min()), float(cosines.mean()), float(kept.mean()))


def _unit(features: Features) -> Features:
    unit: Features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.float32(1e-12))
    return unit


def _nearest(unit: Features, count: int) -> NDArray[np.intp]:
    """Each row's `count` nearest other rows (rows x count), the nearest first."""
    likeness: Features = unit @ unit.T
    np.fill_diagonal(likeness, -np.inf)
    nearest: NDArray[np.intp] = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
    return nearest

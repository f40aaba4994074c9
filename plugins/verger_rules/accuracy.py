"""How often images were given their own label, as shares with an interval of confidence."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: Of the standard normal distribution: an interval of it covers 95 %.
NORMAL_95 = 1.959963984540054

Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Share:
    """A share of images, [0, 1], and the interval that holds the true one in 95 of 100 samples."""

    value: float
    low: float
    high: float

    def as_json(self) -> Mapping[str, float]:
        """As `quality.json` holds it."""
        return {"value": round(self.value, 6), "low": round(self.low, 6), "high": round(self.high, 6)}


def share_of(right: int, judged: int) -> Share:
    """The share `right / judged` with Wilson's interval (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Raises ValueError when nothing was judged.
    """
    if judged < 1:
        raise ValueError("a share of no images")
    share, square = right / judged, NORMAL_95**2
    middle = (share + square / (2 * judged)) / (1 + square / judged)
    half = NORMAL_95 / (1 + square / judged) * np.sqrt(share * (1 - share) / judged + square / (4 * judged**2))
    return Share(share, float(max(0.0, middle - half)), float(min(1.0, middle + half)))


def balanced_share(right: Bools, labels: Codes) -> Share:
    """The mean over the labels of the share of each that is right; every label counts the same.

    The interval is that of a mean of independent shares, each with the variance p (1 - p) / n at Agresti and Coull's
    p = (right + 2) / (n + 4), so that a label without an error is not taken for one that can have none
    (doi:10.1080/00031305.1998.10480550).

    Args:
        right: [images].
        labels: [images], numbers from 0.
    """
    judged = np.bincount(labels)
    found = np.bincount(labels, weights=right)[judged > 0]
    judged = judged[judged > 0]
    value = float((found / judged).mean())
    assumed = (found + 2) / (judged + 4)
    half = NORMAL_95 * float(np.sqrt((assumed * (1 - assumed) / judged).sum())) / len(judged)
    return Share(value, max(0.0, value - half), min(1.0, value + half))


def accuracies(right: Bools, labels: Codes) -> dict[str, Mapping[str, float]]:
    """Plain and balanced over the labels, as `quality.json` holds them; of one image at least."""
    return {
        "accuracy": share_of(int(right.sum()), len(right)).as_json(),
        "balanced": balanced_share(right, labels).as_json(),
    }

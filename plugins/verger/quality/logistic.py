"""Multinomial logistic regression with a ridge penalty, small enough for a model of every run.

Without a library: scikit-learn and its SciPy would add 200 MB to Airflow's image. Tests compare both.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

#: Of the squares of the coefficients, as scikit-learn's `C=1`.
PENALTY = 1.0
_MOST_STEPS = 200
#: Steps by which the curvature is estimated.
_REMEMBERED = 10
#: A step must gain this share of what the slope promises (Armijo); one halved below the least share gains nothing.
_ENOUGH = 1e-4
_LEAST_SHARE = 1e-6
#: Ends when no probability of the images learnt from changes by more.
_SETTLED = 3e-5


@dataclass(frozen=True)
class LogisticRegression:
    """A fitted model: the probabilities are softmax(vectors @ coefficients.T + intercept).

    Attributes:
        coefficients: [labels, d].
        intercept: [labels].
    """

    coefficients: Matrix
    intercept: Matrix

    def probabilities(self, vectors: npt.NDArray[np.floating]) -> Matrix:
        """Of each label, [n, labels]; vectors are [n, d]."""
        return softmax(vectors @ self.coefficients.T + self.intercept)


def softmax(logits: Matrix) -> Matrix:
    """Each row as probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Matrix = powers / powers.sum(axis=1, keepdims=True)
    return found


def fit_logistic(
    vectors: npt.NDArray[np.floating], codes: Codes, labels: int, penalty: float = PENALTY
) -> LogisticRegression:
    """Minimize the sum of -log(probability of the own label) and penalty / 2 times the squares of the coefficients.

    Vectors are centred and scaled by one number, so that features have the variance 1 on average; the penalty counts
    there, and the model that is returned takes vectors as they are. L-BFGS (Nocedal 1980, doi:10.2307/2006193), which
    begins with Boehning's bound of the curvature (Boehning 1992, doi:10.1007/BF00048682): ten to fifty steps.

    Args:
        vectors: [n, d].
        codes: [n], the labels' numbers below `labels`.
        labels: how many there are.
        penalty: above zero.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - mean
    scale = float(np.sqrt(np.square(centred).mean())) or 1.0
    design = np.hstack([centred / scale, np.ones((len(vectors), 1))])
    ridge = np.append(np.full(vectors.shape[1], penalty), 0.0)
    found = _descend(design, np.eye(labels)[codes], ridge)
    coefficients = found[:-1].T / scale
    return LogisticRegression(coefficients, found[-1] - coefficients @ mean)


def _descend(design: Matrix, wanted: Matrix, ridge: Matrix) -> Matrix:
    """The coefficients [d + 1, labels]."""
    inverse = np.linalg.inv(design.T @ design / 2 + np.diag(ridge))
    at = np.zeros((design.shape[1], wanted.shape[1]))
    told: deque[tuple[Matrix, Matrix]] = deque(maxlen=_REMEMBERED)
    loss, slope, now = _loss(at, design, wanted, ridge)
    for _ in range(_MOST_STEPS):
        step = -_curved(slope, told, inverse)
        share, downhill = 1.0, float((slope * step).sum())
        while (ahead := _loss(at + share * step, design, wanted, ridge))[0] > loss + _ENOUGH * share * downhill:
            share /= 2
            if share < _LEAST_SHARE:  # rounding is all that is left
                return at
        told.append((share * step, ahead[1] - slope))
        at, before = at + share * step, now
        loss, slope, now = ahead
        if np.abs(now - before).max() < _SETTLED:
            break
    return at


def _loss(at: Matrix, design: Matrix, wanted: Matrix, ridge: Matrix) -> tuple[float, Matrix, Matrix]:
    """What is minimized, its slope, and the probabilities."""
    logits = design @ at
    shares = softmax(logits)
    highest = logits.max(axis=1)
    likely = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest - (logits * wanted).sum(axis=1)
    loss = float(likely.sum() + (ridge[:, None] * np.square(at)).sum() / 2)
    return loss, design.T @ (shares - wanted) + ridge[:, None] * at, shares


def _curved(slope: Matrix, told: Sequence[tuple[Matrix, Matrix]], inverse: npt.NDArray[Any]) -> Matrix:
    """The slope times the inverse of the curvature, by the steps taken and what they changed (Nocedal 1980)."""
    left, weights = slope, []
    for step, change in reversed(told):
        weights.append(float((step * left).sum() / (step * change).sum()))
        left = left - weights[-1] * change
    found = inverse @ left
    for step, change in told:
        found = found + (weights.pop() - float((change * found).sum() / (step * change).sum())) * step
    return found

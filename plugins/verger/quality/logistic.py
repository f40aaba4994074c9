"""Multinomial logistic regression with a ridge penalty, small enough for a model of every run.

Without a library: scikit-learn and its SciPy would add 200 MB to Airflow's image. Tests compare both.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]

#: Of the squares of the coefficients, as scikit-learn's `C=1`.
PENALTY = 1.0
_MOST_STEPS = 300
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
    there, and the model that is returned takes vectors as they are. Each step divides the gradient by Boehning's bound
    of the curvature, which does not change (Boehning 1992, doi:10.1007/BF00048682), with Nesterov's momentum, begun
    again where it overshoots (O'Donoghue and Candes 2015, doi:10.1007/s10208-013-9150-3).

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
    at = ahead = np.zeros((design.shape[1], wanted.shape[1]))
    before = softmax(design @ at)
    momentum = 1.0
    for _ in range(_MOST_STEPS):
        slope = design.T @ (softmax(design @ ahead) - wanted) + ridge[:, None] * ahead
        reached = ahead - inverse @ slope
        now = softmax(design @ reached)
        if np.abs(now - before).max() < _SETTLED:
            return reached
        if (slope * (reached - at)).sum() > 0:
            momentum = 1.0
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = reached + (momentum - 1) / faster * (reached - at)
        at, before, momentum = reached, now, faster
    return at

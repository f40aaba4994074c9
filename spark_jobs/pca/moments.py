"""Mean and scatter of many vectors, added up in pieces without loss (Chan, Golub, LeVeque 1983)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """What PCA needs to know of a set of vectors.

    Attributes:
        n: how many vectors.
        mean: [d], float64.
        scatter: [d, d], float64: the sum of the outer products of the vectors less their mean.
    """

    n: int
    mean: Matrix
    scatter: Matrix


def moments_of(vectors: npt.NDArray[np.float32]) -> Moments:
    """The moments of [n, d] vectors, n >= 1.

    The first vector is subtracted before anything is added up: features that never change come out exactly constant.
    """
    shifted = vectors.astype(np.float64)
    shifted -= vectors[0].astype(np.float64)
    shift_mean = shifted.mean(axis=0)
    shifted -= shift_mean
    return Moments(len(vectors), vectors[0] + shift_mean, shifted.T @ shifted)


def merge(first: Moments, second: Moments) -> Moments:
    """The moments of two sets together."""
    n = first.n + second.n
    apart = second.mean - first.mean
    scatter = first.scatter + second.scatter
    scatter += np.outer(apart, apart) * (first.n * second.n / n)
    return Moments(n, first.mean + apart * (second.n / n), scatter)


def merge_in_order(pieces: Iterable[Moments]) -> Moments:
    """All pieces together, as a balanced binary tree over their order, holding log2 of their number at a time.

    The tree depends on the order alone. Cut the pieces into runs whose length is a power of two, merge each run, then
    the results: the same sums in the same order, hence the same bits.

    Raises:
        ValueError: there is no piece.
    """
    stack: list[tuple[int, Moments]] = []
    for piece in pieces:
        size, merged = 1, piece
        while stack and stack[-1][0] == size:
            size, merged = 2 * size, merge(stack.pop()[1], merged)
        stack.append((size, merged))
    if not stack:
        raise ValueError("There is nothing to merge")
    merged = stack.pop()[1]
    while stack:
        merged = merge(stack.pop()[1], merged)
    return merged


def pack(moments: Moments) -> tuple[int, bytes, bytes]:
    """The moments for a journey: of the symmetric scatter only the upper triangle."""
    triangle = moments.scatter[np.triu_indices(len(moments.mean))]
    return moments.n, moments.mean.tobytes(), triangle.tobytes()


def unpack(packed: tuple[int, bytes, bytes]) -> Moments:
    """What `pack` packed."""
    n, mean_bytes, triangle = packed
    mean = np.frombuffer(mean_bytes)
    upper = np.zeros((len(mean), len(mean)))
    upper[np.triu_indices(len(mean))] = np.frombuffer(triangle)
    return Moments(n, mean, upper + np.triu(upper, 1).T)

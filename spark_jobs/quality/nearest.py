"""The nearest image of each, in the first k dimensions for several k at once."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from spark_jobs.pca.moments import Matrix

#: Images looked at at a time: so few that the distances to 10,000 others stay in a processor's cache.
_ROWS = 128
#: Squared distances count as equal within this share of the images' mean square: float64 rounds them so.
_ROUNDING = 1e-12

Int64s = npt.NDArray[np.int64]


def nearest_by_k(queries: Matrix, references: Matrix, ks: Sequence[int], *, same: bool = False) -> Int64s:
    """The number of the reference nearest to each query by Euclidean distance, [len(ks), queries].

    Of references that are equally near, the first. The distances for one k are those for the k before it and what the
    dimensions between them add, so that all ks cost no more than the largest.

    Args:
        queries: [n, d], centred: rounding grows with the distance from zero.
        references: [m, d], in the same space.
        ks: numbers of leading dimensions, ascending, up to d.
        same: whether both are the same images; none is then its own nearest.
    """
    found = np.empty((len(ks), len(queries)), np.int64)
    equal = _ROUNDING * float(np.square(references).sum(axis=1).mean())
    # |q - r|^2 without |q|^2, which is the same for all r: (-2 q, 1) . (r, |r|^2), one product for each k.
    pieces = [_with_square(references[:, done:k]) for done, k in pairwise((0, *ks))]
    for start in range(0, len(queries), _ROWS):
        block = queries[start : start + _ROWS]
        distances = np.zeros((len(block), len(references)))
        if same:
            own = np.arange(len(block))
            distances[own, start + own] = np.inf
        for at, (done, k) in enumerate(pairwise((0, *ks))):
            asked = np.hstack([-2 * block[:, done:k], np.ones((len(block), 1))])
            distances += asked @ pieces[at].T
            least = distances.min(axis=1)[:, None]
            found[at, start : start + len(block)] = (distances <= least + equal).argmax(axis=1)
    return found


def _with_square(some: Matrix) -> Matrix:
    """Each row with its square of length behind it."""
    return np.hstack([some, np.square(some).sum(axis=1)[:, None]])

"""Images that are nearly the same: copies that were compressed, scaled or cut anew, and frames of one film."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from verger_rules.unit_vectors import Vectors, unit_vectors

#: From this cosine of two images' features on they count as nearly the same. Measured with the ImageNet weights on 148
#: photographs: no two different ones reach 0.87 (0.90 with copies among them). Copies recompressed at quality 75 do
#: 0.93 in 98 of 100 cases, at half the size in 64: small photographs lose what the model looks at.
NEAR = 0.93
#: Images looked at at a time: 20 MB of cosines with 10,000 others.
_ROWS = 512


@dataclass(frozen=True)
class NearDuplicates:
    """What was found among some images; arrays are [images].

    Attributes:
        group: the number of the first image of the group that each belongs to; its own number without a group.
        similarity: the largest cosine with another image.
    """

    group: npt.NDArray[np.int64]
    similarity: Vectors


def find_near_duplicates(vectors: Vectors, bound: float = NEAR) -> NearDuplicates:
    """Group images so that each reaches the cosine `bound` with another one of its group.

    Args:
        vectors: features, [n, d].
        bound: of the cosine.
    """
    unit = unit_vectors(vectors)
    group = np.arange(len(unit))
    similarity = np.full(len(unit), -1.0, np.float32)
    for start in range(0, len(unit), _ROWS):
        cosines = unit[start : start + _ROWS] @ unit.T
        own = np.arange(len(cosines))
        cosines[own, start + own] = -1.0
        similarity[start : start + len(cosines)] = cosines.max(axis=1, initial=-1.0)
        for row in np.flatnonzero(similarity[start : start + len(cosines)] >= bound):
            _join(group, np.append(np.flatnonzero(cosines[row] >= bound), start + row))
    return NearDuplicates(group, np.minimum(similarity, 1.0))


def _join(group: npt.NDArray[np.int64], members: npt.NDArray[np.int64]) -> None:
    """Make one group of those that some images belong to."""
    joined = np.unique(group[members])
    if len(joined) > 1:
        group[np.isin(group, joined)] = joined[0]


def largest_cosines(queries: Vectors, references: Vectors) -> Vectors:
    """Of each query the largest cosine with a reference."""
    unit, others = unit_vectors(queries), unit_vectors(references)
    pieces = [(unit[start : start + _ROWS] @ others.T).max(axis=1) for start in range(0, len(unit), _ROWS)]
    return np.concatenate(pieces)

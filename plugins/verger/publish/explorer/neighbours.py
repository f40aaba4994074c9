"""Each picture's nearest ones in the space of all components, for the lists of odd pictures."""

from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

NEIGHBOURS = 10
#: The search is exact and grows with the square: 50,000 take seconds, this many minutes. With more pictures the page
#: still finds the neighbours of the one that is looked at, but lists none as mislabelled.
MOST_PICTURES = 200_000
#: Rows searched at once: bounds the memory and changes nothing else.
_ROWS = 4096

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Neighbourhoods:
    """What surrounds each picture; arrays are [pictures].

    Attributes:
        agreeing: how many of the nearest have the picture's own label.
        other: the number of the label that most of the others have; -1 when all agree.
        others: how many of the nearest have that label.
        nearest: Euclidean distance to the nearest one.
    """

    agreeing: npt.NDArray[np.int32]
    other: npt.NDArray[np.int32]
    others: npt.NDArray[np.int32]
    nearest: Floats


def find_neighbourhoods(components: Floats, labels: npt.NDArray[np.int32]) -> Neighbourhoods | None:
    """Look at the ten nearest of each picture; None when there are too many pictures or fewer than two.

    Args:
        components: [pictures, k].
        labels: [pictures], numbers from 0.
    """
    count = len(components)
    if not 2 <= count <= MOST_PICTURES:  # noqa: PLR2004 -- a picture has a neighbour
        return None
    index = faiss.IndexFlatL2(components.shape[1])
    index.add(np.ascontiguousarray(components))
    pieces = [_look(index, components, labels, start) for start in range(0, count, _ROWS)]
    agreeing, other, others, nearest = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
    return Neighbourhoods(agreeing, other, others, nearest)


def _look(
    index: "faiss.IndexFlatL2", components: Floats, labels: npt.NDArray[np.int32], start: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32], Floats]:
    queries = np.ascontiguousarray(components[start : start + _ROWS])
    wanted = min(NEIGHBOURS + 1, len(components))
    squares, found = index.search(queries, wanted)
    own = np.arange(start, start + len(queries))[:, None]
    # The picture itself is among its nearest, unless more than ten lie at the very same place.
    itself = found == own
    itself[~itself.any(axis=1), -1] = True
    around = found[~itself].reshape(len(queries), wanted - 1)
    distances = squares[~itself].reshape(len(queries), wanted - 1)
    theirs = labels[around]
    same = theirs == labels[own]
    # How often each neighbour's label occurs among the neighbours; own ones do not count.
    votes = ((theirs[:, :, None] == theirs[:, None, :]).sum(axis=2) * ~same).astype(np.int32)
    winner = votes.argmax(axis=1)
    rows = np.arange(len(queries))
    most = votes[rows, winner]
    return (
        same.sum(axis=1).astype(np.int32),
        np.where(most > 0, theirs[rows, winner], -1).astype(np.int32),
        most,
        np.sqrt(np.maximum(distances[:, 0], 0)).astype(np.float32),
    )

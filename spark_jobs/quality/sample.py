"""Which images the quality is judged on: all of them, or of very many a sample that is the same each time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from verger_rules.path_hashes import path_hashes
from verger_rules.row_parts import PART_ROWS

from spark_jobs.pca.feature_blocks import FeatureImages

#: Work grows with the square of the images: 10,000 take seconds and half a gibibyte, and tell a share to one point.
MOST_JUDGED = 10_000
#: Of a label at least so many, where it has them: one alone has no image of its label near it.
_FEWEST = 2

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """Some of a run's images with features.

    Attributes:
        numbers: of each among all of them, ascending, [n].
        images: columns path and label, [n].
    """

    numbers: Int64s
    images: pa.Table

    def __len__(self) -> int:
        """How many images."""
        return len(self.numbers)


def choose_sample(images: FeatureImages, most: int = MOST_JUDGED) -> Sample:
    """All images, or at most so many: of each label its share and two at least, those whose paths hash lowest.

    An image that is added or removed changes the others' choice little. Raises what reading the answers does.
    """
    if len(images) <= most:
        return Sample(np.arange(len(images)), pa.concat_tables(_parts(images)))
    counts = Counter[str]()
    for part in _parts(images):
        for entry in pc.value_counts(part["label"].combine_chunks()).to_pylist():
            counts[entry["values"]] += entry["counts"]
    shares = {label: max(_FEWEST, count * most // len(images)) for label, count in counts.items()}
    kept = _Lowest(shares)
    for part in _parts(images):
        kept.add(part)
    return kept.sample(most)


def _parts(images: FeatureImages) -> Iterator[pa.Table]:
    return images.read(("path", "label"), 0, len(images), PART_ROWS)


class _Lowest:
    """Of each label the images whose paths hash lowest, up to its share."""

    def __init__(self, shares: dict[str, int]) -> None:
        self._codes = {label: code for code, label in enumerate(shares)}
        self._shares = np.array(list(shares.values()))
        self._seen = 0
        self._kept: pa.Table | None = None

    def add(self, part: pa.Table) -> None:
        """Some more images, columns path and label."""
        hashes = pa.array(path_hashes(part["path"]))
        numbers = pa.array(np.arange(self._seen, self._seen + part.num_rows))
        self._seen += part.num_rows
        more = part.append_column("number", numbers).append_column("hash", hashes)
        together = more if self._kept is None else pa.concat_tables([self._kept, more])
        labels = self._labels(together)
        self._kept = together.filter(pa.array(_places(together, labels) < self._shares[labels]))

    def sample(self, most: int) -> Sample:
        """At most so many of them: with very many labels, two of each are more than that, and so two of some."""
        if self._kept is None:
            raise ValueError("there are no images")
        labels, hashes = self._labels(self._kept), self._kept["hash"].to_numpy()
        places = _places(self._kept, labels)
        lowest = np.empty(len(self._shares), hashes.dtype)
        lowest[labels[places == 0]] = hashes[places == 0]
        # Two by two: an image of whose label no other is chosen tells nothing.
        order = np.lexsort((places, lowest[labels], places // _FEWEST))[:most]
        chosen = self._kept.take(pa.array(order)).sort_by("number")
        return Sample(chosen["number"].to_numpy(), chosen.select(["path", "label"]))

    def _labels(self, images: pa.Table) -> Int64s:
        encoded = images["label"].combine_chunks().dictionary_encode()
        codes = np.array([self._codes[label] for label in encoded.dictionary.to_pylist()], np.int64)
        found: Int64s = codes[encoded.indices.to_numpy()]
        return found


def _places(images: pa.Table, labels: Int64s) -> Int64s:
    """The place of each image (columns number, hash) among those of its label, by hash."""
    order = np.lexsort((images["number"].to_numpy(), images["hash"].to_numpy(), labels))
    first = np.searchsorted(labels[order], labels[order], side="left")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - first
    return places

"""Which of an image's rows readers take when the feature table has several (docs/formats.md)."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Flags = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


def winning_rows(keys: pa.Table, is_features: Flags) -> Flags:
    """Whether each row is the one that readers take for its path and etag: features first, then the later row.

    Args:
        keys: columns path and etag, in the order of their commits, earliest first.
        is_features: whether the row has features (else it is a reject), [rows].
    """
    etags, count = _codes(keys["etag"])
    image = _codes(keys["path"])[0] * count + etags
    order = np.lexsort((np.arange(len(image)), is_features, image))
    wins = np.zeros(len(image), np.bool_)
    wins[order[np.append(np.diff(image[order]) != 0, [True] * (len(image) > 0)).astype(np.bool_)]] = True
    return wins


def _codes(column: pa.ChunkedArray) -> tuple[Int64s, int]:
    """Each value as a number, and how many values there are."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), max(1, len(encoded.dictionary))

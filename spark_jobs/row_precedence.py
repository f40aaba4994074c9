"""Which of an image's rows readers take when the feature table has several (docs/formats.md)."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_jobs.decoder_version import DECODER_VERSION

Flags = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


def winning_rows(keys: pa.Table, is_features: Flags) -> Flags:
    """Whether each row is the one that readers take for its path and etag.

    The rows of this version of the decoder come first, whether features or rejects: what an older one made of the
    picture must not come back. Then the newer version, then features before rejects, then the later row.

    Args:
        keys: columns path, etag and decoder (never null), in the order of their commits, earliest first.
        is_features: whether the row has features (else it is a reject), [rows].
    """
    etags, count = _codes(keys["etag"])
    image = _codes(keys["path"])[0] * count + etags
    decoder = keys["decoder"].to_numpy()
    order = np.lexsort((np.arange(len(image)), is_features, decoder, decoder == DECODER_VERSION, image))
    wins = np.zeros(len(image), np.bool_)
    wins[order[np.append(np.diff(image[order]) != 0, [True] * (len(image) > 0)).astype(np.bool_)]] = True
    return wins


def _codes(column: pa.ChunkedArray) -> tuple[Int64s, int]:
    """Each value as a number, and how many values there are."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), max(1, len(encoded.dictionary))

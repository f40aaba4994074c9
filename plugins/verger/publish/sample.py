"""A sample of very many images that shows each label."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def stratified_sample(labels: pa.Array, most: int) -> npt.NDArray[np.int64]:
    """Rows of a sample, ascending: of each label its share of `most`, and one at least; all rows where there are fewer.

    The same labels give the same sample. With more labels than `most` it has one row of each label.

    Args:
        labels: of all images, [images].
        most: images of the sample, but for what rounding up to one of a label adds.
    """
    if len(labels) <= most:
        return np.arange(len(labels), dtype=np.int64)
    codes = labels.dictionary_encode().indices.to_numpy()
    counts = np.bincount(codes)
    wanted = np.maximum(1, counts * most // len(codes))
    by_label = np.lexsort((np.random.default_rng(0).random(len(codes)), codes))
    place_in_label = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen: npt.NDArray[np.int64] = np.sort(by_label[place_in_label < wanted[codes[by_label]]])
    return chosen

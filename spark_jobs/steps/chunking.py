"""How a chunk is cut into partitions."""

import numpy as np
import numpy.typing as npt

# Images of a partition, and so rows of a file (7 MB): few enough that the step's progress moves every few seconds and
# that no core waits long for the last one, many enough that a table of millions of images has few files to open.
PARTITION_IMAGES = 1024
# Bytes of a file that take about as long to decode as the model takes for one picture.
BYTES_PER_INFERENCE = 120_000
LARGEST_COST = 12.0


def partition_bounds(sizes: npt.NDArray[np.int64], slots: int) -> list[int]:
    """Where to cut a chunk into partitions of about equal cost: ascending row numbers, 0 first and the last row's end.

    The number of partitions is a multiple of the slots, at least three each where there are images enough.
    """
    images = len(sizes)
    wanted = max(3 * slots, -(-images // PARTITION_IMAGES))
    count = max(1, min(images, -(-wanted // slots) * slots))
    cost = np.cumsum(image_costs(sizes))
    inner = np.searchsorted(cost, cost[-1] * np.arange(1, count) / count, side="left") + 1
    return sorted({0, images, *(int(bound) for bound in inner if bound < images)})


def image_costs(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """What each image costs, in inferences, judged by its bytes."""
    return np.minimum(1.0 + sizes / BYTES_PER_INFERENCE, LARGEST_COST)

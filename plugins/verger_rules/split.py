"""Which part of a data set an image belongs to, where it was cut into one to learn from and one to be judged by."""

import unicodedata
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

TRAINING, TEST, NEITHER = "Training", "Test", ""

#: Names of folders, small, as data sets have them (Fruits-360: Training/ and Test/).
_TRAINING_FOLDERS = frozenset({"training", "train"})
_TEST_FOLDERS = frozenset({"test", "testing"})


def part_of(path: str, test_folder: str = "") -> str:
    """The part of an image, by the folders above its label: TRAINING, TEST, or NEITHER.

    Args:
        path: `s3://bucket/.../label/file`.
        test_folder: the name of the folder of the images that are judged; all others are then learnt from. Empty: the
            folders are called Training and Test, in capitals or not, and the nearest to the label counts.
    """
    above = path.removeprefix("s3://").split("/")[1:-2]
    if test_folder:
        # What is typed and a folder from a Mac write é differently, and look the same.
        wanted = unicodedata.normalize("NFC", test_folder)
        return TEST if any(unicodedata.normalize("NFC", folder) == wanted for folder in above) else TRAINING
    for folder in reversed(above):
        if folder.casefold() in _TEST_FOLDERS:
            return TEST
        if folder.casefold() in _TRAINING_FOLDERS:
            return TRAINING
    return NEITHER


def parts_of(paths: Iterable[str], test_folder: str = "") -> npt.NDArray[np.str_]:
    """The part of each image; NEITHER for all where one of the two parts has none, for then there is no split."""
    parts = np.array([part_of(path, test_folder) for path in paths], dtype="<U8")
    if {TRAINING, TEST} <= set(parts.tolist()):
        return parts
    return np.full(len(parts), NEITHER, dtype="<U8")

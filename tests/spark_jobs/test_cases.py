"""The files beside the project that once went wrong, each with what is right; their siblings are in other tests."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from spark_jobs.worker.decode import UndecodableError, decode_image, prepare_pillow
from spark_jobs.worker.infer import open_engine

LIMIT = 100_000_000
#: Grey levels on average: a JPEG's own loss, and the rounding of a conversion of colours.
SAME_PICTURE = 3.0

pytestmark = pytest.mark.shared


@pytest.fixture
def cases(shared: Path) -> Path:
    prepare_pillow()
    return shared / "cases"


def pixels(file: Path) -> npt.NDArray[np.uint8]:
    return decode_image(file.read_bytes(), LIMIT).pixels


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pictures/sRGB.png", "expected/reference.png"),
        ("pictures/DisplayP3.png", "expected/reference.png"),
        ("pictures/AdobeRGB.jpg", "expected/reference.png"),
        ("pictures/DisplayP3.png", "pictures/sRGB.png"),
        ("pictures/AdobeRGB.jpg", "pictures/sRGB.png"),
        ("pictures/tiff_grey16_min_is_white.tif", "expected/grey16_min_is_white.png"),
    ],
)
def test_it_is_seen_as_a_viewer_shows_it(cases: Path, real_model_folder: Path, name: str, expected: str) -> None:
    found, right = pixels(cases / name), pixels(cases / expected)
    assert np.abs(found.astype(int) - right.astype(int)).mean() <= SAME_PICTURE
    one, other = open_engine("litert", (real_model_folder / "model.tflite").read_bytes(), 2)(np.stack([found, right]))
    assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) >= 0.998


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("baseline_cut_with_end_marker.jpg", "corrupt", "damaged inside"),
        ("100_zeros_in_the_middle.jpg", "corrupt", "damaged inside"),
        ("raw_named.tif", "unsupported_format", "RAW"),
        ("heic_brand_msf1.jpg", "unsupported_format", "HEIC"),
    ],
)
def test_it_is_a_reject_that_says_why(cases: Path, name: str, reason: str, words: str) -> None:
    with pytest.raises(UndecodableError) as raised:
        decode_image((cases / "pictures" / name).read_bytes(), LIMIT)
    assert raised.value.reason == reason
    assert words in str(raised.value)


def test_no_case_is_left_out(cases: Path) -> None:
    """The zips are tried where the sync is (tests/verger/sync/test_zip_names.py)."""
    here = {path.name for path in (cases / "pictures").iterdir() if path.suffix != ".zip"}
    assert here == {
        "sRGB.png", "DisplayP3.png", "AdobeRGB.jpg", "tiff_grey16_min_is_white.tif",
        "baseline_cut_with_end_marker.jpg", "100_zeros_in_the_middle.jpg", "raw_named.tif", "heic_brand_msf1.jpg",
    }  # fmt: skip

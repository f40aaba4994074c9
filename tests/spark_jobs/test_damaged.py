"""JPEGs that are damaged inside are heard, and what viewers show without a visible loss stays a picture."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spark_jobs.decode import UndecodableError, decode_image, prepare_pillow

LIMIT = 100_000_000
#: How JPEGs are written; `optimize` and `progressive` have their own Huffman tables.
WAYS: dict[str, dict[str, object]] = {
    "baseline": {},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "4:4:4": {"subsampling": 0},
    "restart markers": {"restart_marker_blocks": 20},
}


@pytest.fixture(autouse=True)
def _pillow() -> None:
    prepare_pillow()


def photograph(way: str, mode: str = "RGB") -> bytes:
    """A picture with much in it, of 40 kB or more."""
    noise = np.random.default_rng(5).normal(0, 18, (480, 640, 3))
    across, down = np.meshgrid(np.linspace(0, 255, 640), np.linspace(0, 255, 480))
    scene = np.stack([across, down, 128 + 90 * np.sin(across / 11)], axis=-1) + noise
    stored = io.BytesIO()
    Image.fromarray(scene.clip(0, 255).astype(np.uint8)).convert(mode).save(stored, "JPEG", quality=85, **WAYS[way])
    return stored.getvalue()


def reason(content: bytes) -> str | None:
    try:
        decode_image(content, LIMIT)
    except UndecodableError as error:
        return error.reason
    return None


DAMAGES = {
    "100 zeros": lambda content, at: content[:at] + bytes(100) + content[at + 100 :],
    "a sector of zeros": lambda content, at: content[:at] + bytes(512) + content[at + 512 :],
    "4096 zeros": lambda content, at: content[:at] + bytes(4096) + content[at + 4096 :],
    "a sector of something else": lambda content, at: (
        content[:at] + random.Random(at).randbytes(512) + content[at + 512 :]  # noqa: S311 - not a secret
    ),
    "a piece missing": lambda content, at: content[:at] + content[at + 1000 :],
    "cut off, with an end": lambda content, at: content[:at] + b"\xff\xd9",
}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("way", WAYS)
def test_damage_in_the_middle_is_a_reject(way: str, damage: str, mode: str) -> None:
    """Where it is not, the picture is as good as it was: libjpeg finds its way back at the next restart or scan."""
    content = photograph(way, mode)
    assert reason(content) is None
    whole = decode_image(content, LIMIT).pixels.astype(int)
    for place in (0.4, 0.5, 0.62, 0.7):
        spoilt = DAMAGES[damage](content, int(len(content) * place))
        if reason(spoilt) is None:
            assert np.abs(decode_image(spoilt, LIMIT).pixels.astype(int) - whole).mean() < 2, place
        else:
            assert reason(spoilt) == "corrupt"


@pytest.mark.parametrize("way", WAYS)
def test_damaged_pictures_are_taken_where_that_is_wanted_and_the_row_says_so(way: str) -> None:
    content = photograph(way)
    cut = content[: len(content) // 2]
    for spoilt in (cut + b"\xff\xd9", cut):
        got = decode_image(spoilt, LIMIT, take_damaged=True)
        assert got.note is not None
        assert got.note.startswith("it is damaged inside: ")
        assert (got.width, got.height) == (640, 480)
    assert reason(cut) == "truncated"


def header_end(content: bytes) -> int:
    return content.index(b"\xff\xdb")


HARMLESS = {
    "bytes behind the end": lambda content: content + bytes(5000) + b"a camera's notes",
    "zeros before the end": lambda content: content[:-2] + bytes(200) + content[-2:],
    "two bytes before the end": lambda content: content[:-2] + b"\x12\x34" + content[-2:],
    "bytes between the segments of the header": lambda content: (
        content[: header_end(content)] + bytes(9) + content[header_end(content) :]
    ),
    "a revision of JFIF that does not exist": lambda content: content.replace(b"JFIF\0\x01\x01", b"JFIF\0\x07\x01", 1),
    "zeros in its notes": lambda content: content[:2] + b"\xff\xe5\x10\x02" + bytes(4096) + content[2:],
}


@pytest.mark.parametrize("oddity", HARMLESS)
@pytest.mark.parametrize("way", WAYS)
def test_what_viewers_show_without_loss_stays_a_picture(way: str, oddity: str) -> None:
    content = photograph(way)
    odd = HARMLESS[oddity](content)
    assert odd != content
    got = decode_image(odd, LIMIT)
    assert np.array_equal(got.pixels, decode_image(content, LIMIT).pixels)
    assert got.note is None


@pytest.mark.parametrize(
    "oddity", ["bytes between the segments of the header", "a revision of JFIF that does not exist"]
)
def test_an_oddity_does_not_hide_the_damage_behind_it(oddity: str) -> None:
    content = HARMLESS[oddity](photograph("baseline"))
    assert reason(content[: len(content) // 2] + b"\xff\xd9") == "corrupt"


@pytest.mark.parametrize("way", WAYS)
def test_a_white_surface_is_no_hole(way: str) -> None:
    """Its blocks may be zero bytes one after the other, in an encoder's own tables."""
    stored = io.BytesIO()
    Image.new("RGB", (900, 900), "white").save(stored, "JPEG", **WAYS[way])
    assert decode_image(stored.getvalue(), LIMIT).pixels.min() == 255


def test_a_jpeg_of_twelve_bits_is_said_to_be_unsupported() -> None:
    content = photograph("baseline")
    frame = content.index(b"\xff\xc0")
    assert reason(content[: frame + 4] + b"\x0c" + content[frame + 5 :]) == "unsupported_format"


@pytest.mark.shared
def test_the_cases_of_damage_are_rejects(shared: Path) -> None:
    for name in ("100_zeros_in_the_middle.jpg", "baseline_cut_with_end_marker.jpg"):
        assert reason((shared / "cases/pictures" / name).read_bytes()) == "corrupt", name


@pytest.mark.shared
def test_of_real_photographs_none_is_taken_for_damaged(shared: Path) -> None:
    for path in sorted((shared / "photos").rglob("*.jpg")):
        assert reason(path.read_bytes()) is None, path.name

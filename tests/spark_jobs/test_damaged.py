"""JPEGs that are damaged inside are heard, and what viewers show without a visible loss stays a picture."""

import io
import random
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spark_jobs.worker.decode import UndecodableError, decode_image, prepare_pillow

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


WITHOUT_END = {
    "nothing": lambda content: content[:-2],
    "half a marker": lambda content: content[:-1],
    "zeros": lambda content: content[:-2] + bytes(700),
    "half a marker and zeros": lambda content: content[:-1] + bytes(4096),
}


@pytest.mark.parametrize("ending", WITHOUT_END)
@pytest.mark.parametrize("way", WAYS)
def test_a_picture_that_lacks_its_end_marker_alone_is_whole(way: str, ending: str) -> None:
    content = photograph(way)
    got = decode_image(WITHOUT_END[ending](content), LIMIT)
    assert np.array_equal(got.pixels, decode_image(content, LIMIT).pixels)
    assert got.note is None
    assert reason(WITHOUT_END[ending](content[: len(content) * 3 // 4])) in {"truncated", "corrupt"}


@pytest.mark.parametrize("ending", [b"\xff\xd9", b""])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_progressive_picture_without_its_last_scans_is_damaged(mode: str, ending: bytes) -> None:
    """Cut between two scans it is a picture to libjpeg, only a coarse one."""
    content = photograph("progressive", mode)
    scans = [found.start() for found in re.finditer(rb"\xff\xda", content)]
    assert len(scans) > 4
    for scan in scans[1:]:
        cut = content[:scan] + ending
        assert reason(cut) in {"corrupt", "truncated"}
        got = decode_image(cut, LIMIT, take_damaged=True)
        assert got.note is not None
        assert got.note.startswith("it is damaged inside: ")


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


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2) + data


def lossless(side: int, *before: bytes) -> bytes:
    """A JPEG of the lossless kind (T.81, Annex H), one colour."""
    frame = segment(0xC3, b"\x08" + side.to_bytes(2) * 2 + b"\1\1\x11\0")
    table = segment(0xC4, b"\0" + bytes([1, *[0] * 15]) + b"\0")
    scan = segment(0xDA, b"\1\1\0\1\0\0") + bytes(side * side // 8)
    return b"".join([b"\xff\xd8", *before, frame, table, scan, b"\xff\xd9"])


@pytest.mark.parametrize("before", [b"", b"\xff\xe5\0\0", b"\xff\xff\xff", segment(0xE5, b"\xff\xc0") * 40])
def test_a_lossless_jpeg_is_said_to_be_unsupported_before_a_decoder_sees_it(before: bytes) -> None:
    """The decoder would write it into a buffer that is too small, and end the worker."""
    assert reason(lossless(1400, before)) == "unsupported_format"


def test_endless_fill_bytes_scans_and_segments_cost_little() -> None:
    """A minute and more each, where their time grew with their square or each one were a pass over the picture."""
    content = photograph("baseline")
    stuffed = content.index(b"\xff\x00", len(content) // 2)
    filled = content[:stuffed] + b"\xff" * 400_000 + content[stuffed + 1 : -2] + bytes(64) + content[-2:]
    assert reason(filled) in {None, "corrupt"}
    assert reason(content[:2] + b"\xff" * 5_000_000 + content[2:]) is None
    scan = content.index(b"\xff\xda")
    header = content[scan : scan + 2 + int.from_bytes(content[scan + 2 : scan + 4])]
    assert reason(content[:scan] + (header + b"\0") * 600 + content[scan:]) == "corrupt"
    assert reason(content[:2] + segment(0xE5, b"") * 200_000 + content[2:]) == "corrupt"


@pytest.mark.parametrize(
    "part", [b"\1\2" + bytes(100), b"\0\0" + bytes(100), b"\2\2" + bytes(100), b"\1\1", b"\1\1" + bytes(40)]
)
def test_a_profile_that_is_not_whole_is_no_damage_and_is_told(part: bytes) -> None:
    content = photograph("baseline")
    got = decode_image(content[:2] + segment(0xE2, b"ICC_PROFILE\0" + part) + content[2:], LIMIT)
    assert np.array_equal(got.pixels, decode_image(content, LIMIT).pixels)
    assert got.note is not None
    assert got.note.startswith("its colour profile is not used: ")


def test_a_jpeg_of_twelve_bits_is_said_to_be_unsupported() -> None:
    content = photograph("baseline")
    frame = content.index(b"\xff\xc0")
    assert reason(content[: frame + 4] + b"\x0c" + content[frame + 5 :]) == "unsupported_format"


@pytest.mark.shared
def test_of_real_photographs_none_is_taken_for_damaged(shared: Path) -> None:
    for path in sorted((shared / "photos").rglob("*.jpg")):
        assert reason(path.read_bytes()) is None, path.name

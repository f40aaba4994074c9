"""PNG, TIFF and WebP: depth x photometric x alpha x byte order, against pixels that are known by construction."""

import io
import struct
from itertools import product

import numpy as np
import pytest
from PIL import Image

from spark_jobs.worker.decode import UndecodableError, decode_image, prepare_pillow
from tests.spark_jobs.picture_files import Samples, chunk, levels, packed, png, ramp, tiff

LIMIT = 1_000_000
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE_TIFF, INK = 0, 1, 2, 3, 5
ASSOCIATED, UNASSOCIATED = 1, 2


@pytest.fixture(autouse=True)
def _pillow() -> None:
    prepare_pillow()


def seen(content: bytes) -> Samples:
    """The eight columns of the picture, one level of grey each, from the middle of what the model sees."""
    pixels = decode_image(content, LIMIT).pixels.astype(np.int64)
    assert (np.ptp(pixels, axis=2) <= 1).all(), "grey"
    return np.asarray(pixels[112, 14::28, 0])


def on_white(colours: Samples, alpha: Samples) -> Samples:
    """Levels over white; alpha of 0 to 1."""
    return np.asarray(np.round(colours * alpha + 255 * (1 - alpha)), np.int64)


def alike(got: Samples, expected: Samples) -> bool:
    """Within what bicubic resizing of eight columns to 224 does in the middle of a column."""
    return bool(np.abs(got - expected).max() <= 6)


def three(samples: Samples) -> Samples:
    return np.stack([samples] * 3, axis=-1)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth(depth: int) -> None:
    assert alike(seen(png(ramp(depth), depth, GREY)), levels(ramp(depth), depth)[0])


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_png_s_one_transparent_grey_is_meant_in_its_own_depth(depth: int) -> None:
    most = 2**depth - 1
    got = seen(png(ramp(depth), depth, GREY, chunk(b"tRNS", struct.pack(">H", 0))))
    assert alike(got, np.where(ramp(depth)[0] == 0, 255, levels(ramp(depth), depth)[0]))
    # One above: nothing of the ramp is that dark.
    if depth == 16:
        near = seen(png(ramp(depth), depth, GREY, chunk(b"tRNS", struct.pack(">H", 1))))
        assert alike(near, levels(ramp(depth), depth)[0]), most


@pytest.mark.parametrize("depth", [8, 16])
def test_a_png_s_one_transparent_colour_is_meant_in_its_own_depth(depth: int) -> None:
    key = int(ramp(depth)[0, 3])
    got = seen(png(three(ramp(depth)), depth, COLOUR, chunk(b"tRNS", struct.pack(">3H", key, key, key))))
    expected = levels(ramp(depth), depth)[0]
    expected[3] = 255
    assert alike(got, expected)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour_type", [GREY_ALPHA, COLOUR_ALPHA])
def test_png_with_alpha(depth: int, colour_type: int) -> None:
    colours = ramp(depth)[..., None] if colour_type == GREY_ALPHA else three(ramp(depth))
    half = np.full((*ramp(depth).shape, 1), (2**depth - 1) // 2)
    got = seen(png(np.concatenate([colours, half], axis=-1), depth, colour_type))
    assert alike(got, on_white(levels(ramp(depth), depth)[0], np.array(0.5)))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_png_with_a_palette(depth: int) -> None:
    palette = levels(np.arange(2**depth), depth).repeat(3).astype(np.uint8).tobytes()
    got = seen(png(ramp(depth), depth, PALETTE, chunk(b"PLTE", palette), chunk(b"tRNS", b"\0")))
    assert alike(got, np.where(ramp(depth)[0] == 0, 255, levels(ramp(depth), depth)[0]))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO])
@pytest.mark.parametrize("depth", [1, 2, 4, 6, 8, 10, 12, 14, 16])
def test_grey_tiff_of_every_depth_whichever_way_white_goes(depth: int, photometric: int, order: str) -> None:
    expected = levels(ramp(depth), depth)[0]
    if photometric == WHITE_IS_ZERO:
        expected = 255 - expected
    assert alike(seen(tiff(ramp(depth), depth, photometric, order)), expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("depth", [8, 12, 16])
def test_colour_tiff_of_every_depth(depth: int, order: str, *, planar: bool, deflated: bool) -> None:
    got = seen(tiff(three(ramp(depth)), depth, RGB, order, planar=planar, deflated=deflated))
    assert alike(got, levels(ramp(depth), depth)[0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(
    ("photometric", "alpha"),
    # Multiplied by alpha, white as zero has no agreed meaning.
    [(WHITE_IS_ZERO, 0), (WHITE_IS_ZERO, UNASSOCIATED), *product((BLACK_IS_ZERO, RGB), (0, ASSOCIATED, UNASSOCIATED))],
)
def test_tiff_with_one_sample_more(depth: int, photometric: int, alpha: int, order: str) -> None:
    """Alpha beside the colours, alpha that they are multiplied by, and a sample of which nobody says what it is."""
    colours = ramp(depth)[..., None] if photometric != RGB else three(ramp(depth))
    stored = colours // 2 if alpha == ASSOCIATED else colours
    half = np.full((*ramp(depth).shape, 1), (2**depth - 1) // 2)
    content = tiff(
        np.concatenate([stored, half], axis=-1), depth, photometric, order, more=[(338, 3, [alpha])]
    )  # fmt: skip
    expected = levels(ramp(depth), depth)[0]
    if photometric == WHITE_IS_ZERO:
        expected = 255 - expected
    assert alike(seen(content), on_white(expected, np.array(0.5)) if alpha else expected)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [8, 16])
def test_tiff_of_inks(depth: int, order: str) -> None:
    most = 2**depth - 1
    inks = np.concatenate([most - three(ramp(depth)), np.zeros((4, 8, 1), np.int64)], axis=-1)
    assert alike(seen(tiff(inks, depth, INK, order)), levels(ramp(depth), depth)[0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_tiff_with_a_palette(depth: int, order: str) -> None:
    palette = np.round(np.arange(2**depth) * 65_535 / (2**depth - 1)).astype(int).tolist() * 3
    got = seen(tiff(ramp(depth), depth, PALETTE_TIFF, order, more=[(320, 3, palette)]))
    assert alike(got, levels(ramp(depth), depth)[0])


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp(mode: str, *, lossless: bool) -> None:
    colours = np.repeat(np.repeat(three(levels(ramp(8), 8)), 16, axis=0), 16, axis=1).astype(np.uint8)
    picture = Image.fromarray(colours)
    expected = levels(ramp(8), 8)[0]
    if mode == "RGBA":
        picture.putalpha(128)
        expected = on_white(expected, np.array(128 / 255))
    stored = io.BytesIO()
    picture.save(stored, "WEBP", lossless=lossless, quality=100)
    pixels = decode_image(stored.getvalue(), LIMIT).pixels.astype(np.int64)
    assert alike(pixels[112, 14::28].mean(axis=1).round().astype(np.int64), expected)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (tiff(ramp(12), 12, BLACK_IS_ZERO, ">", more=[(259, 3, [34_712])]), "JPEG 2000"),
        (tiff(three(ramp(8)), 8, RGB, more=[(259, 3, [50_001])]), "WebP"),
        (tiff(ramp(8), 8, BLACK_IS_ZERO, more=[(339, 3, [2])]), "not whole numbers"),
        (tiff(ramp(15), 16, BLACK_IS_ZERO, more=[(339, 3, [2])]), "no agreed range"),
        (tiff(three(ramp(16)), 16, RGB, planar=True, deflated=True, more=[(317, 3, [3])]), "predictor 3"),
        (tiff(three(ramp(8)), 8, 9), "photometric interpretation 9"),
    ],
)
def test_what_nobody_reads_rightly_is_said_to_be_unsupported(content: bytes, said: str) -> None:
    with pytest.raises(UndecodableError, match=said) as caught:
        decode_image(content, LIMIT)
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize("cut", [1, 20, 90])
def test_a_tiff_that_is_read_here_and_cut_off_is_truncated(cut: int) -> None:
    content = tiff(ramp(12), 12, WHITE_IS_ZERO, ">")
    with pytest.raises(UndecodableError) as caught:
        decode_image(content[:-cut], LIMIT)
    assert caught.value.reason in {"truncated", "corrupt"}


def test_a_picture_of_odd_width_begins_each_row_at_a_whole_byte() -> None:
    assert len(packed(np.zeros((3, 7), np.int64), 10)) == 3 * 9
    narrow = ramp(10)[:, :7]
    pixels = decode_image(tiff(narrow, 10, BLACK_IS_ZERO), LIMIT).pixels
    assert alike(pixels[112, 16::32, 0].astype(np.int64), levels(narrow, 10)[0])

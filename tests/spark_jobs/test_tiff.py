"""TIFFs of every compression, in strips, tiles and planes, of either byte order, BigTIFFs too, against known pixels."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from spark_jobs.worker.decode import UndecodableError, decode_image, prepare_pillow
from tests.spark_jobs.picture_files import Samples
from tests.spark_jobs.tiff_files import DEFLATE, LZMA, LZW, PACKBITS, ZSTD, Way, stored_as

Values = npt.NDArray[np.float64]
LIMIT = 1_000_000
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, INK = 0, 1, 2, 3, 5
ASSOCIATED, UNASSOCIATED = 1, 2
PREDICTED = (DEFLATE, LZW, LZMA, ZSTD)


@pytest.fixture(autouse=True)
def _pillow() -> None:
    prepare_pillow()


def scene(channels: int) -> Values:
    """Values of 0 to 1 [45, 52, channels] that differ across, down and by channel; the model's input is 224 x 224."""
    across, down = np.meshgrid(np.linspace(0.1, 0.9, 52), np.linspace(0.1, 0.9, 45))
    return np.stack([across, down, (across + down) / 2, 1 - across][:channels], axis=-1)


def of_depth(values: Values, depth: int) -> Samples:
    return np.asarray(np.round(values * (2**depth - 1)), np.int64)


def seen(content: bytes) -> Values:
    """What the model sees in the middle of each of the scene's pixels."""
    pixels = decode_image(content, LIMIT).pixels / 255
    rows, columns = (np.arange(45) + 0.5) * 224 / 45, (np.arange(52) + 0.5) * 224 / 52
    return np.asarray(pixels[rows.astype(int)][:, columns.astype(int)])


def assert_alike(content: bytes, expected: Values) -> None:
    assert np.abs(seen(content) - expected).max() < 0.025


WAYS = {
    "plain strips": Way(rows=10),
    "plain tiles": Way(tile=(16, 32)),
    "deflate": Way(rows=10, compression=DEFLATE),
    "deflate, tiles": Way(tile=(16, 16), compression=DEFLATE),
    "PackBits": Way(rows=7, compression=PACKBITS),
    "LZW, tiles": Way(tile=(32, 16), compression=LZW),
    **{f"{number} predicted": Way(rows=11, compression=number, predicted=True) for number in PREDICTED},
    "LZW, predicted tiles": Way(tile=(16, 16), compression=LZW, predicted=True),
}
FORMS: dict[str, dict[str, Any]] = {"little": {"order": "<"}, "big": {"order": ">"}, "BigTIFF": {"is_big": True},
         "big BigTIFF": {"order": ">", "is_big": True}}  # fmt: skip


def ways(**fixed: Any) -> list[Way]:
    return [replace(way, **form, **fixed) for way in WAYS.values() for form in FORMS.values()]


def named(way: Way) -> str:
    cut = "tiles" if way.tile else "strips"
    return f"{way.compression}-{'predicted' if way.predicted else ''}-{cut}-{way.order}{'big' if way.is_big else ''}"


@pytest.mark.parametrize("way", ways(), ids=named)
@pytest.mark.parametrize("depth", [8, 16])
def test_grey_whose_white_is_zero_with_alpha(depth: int, way: Way) -> None:
    grey, alpha = scene(1), scene(2)[..., 1:]
    samples = of_depth(np.concatenate([1 - grey, alpha], axis=2), depth)
    content = stored_as(samples, depth, WHITE_IS_ZERO, replace(way, more=[(338, 3, [UNASSOCIATED])]))
    assert_alike(content, (grey * alpha + 1 - alpha).repeat(3, axis=2))


@pytest.mark.parametrize("way", ways(), ids=named)
@pytest.mark.parametrize("depth", [8, 16])
def test_grey_whose_white_is_zero(depth: int, way: Way) -> None:
    assert_alike(stored_as(of_depth(1 - scene(1), depth), depth, WHITE_IS_ZERO, way), scene(1).repeat(3, axis=2))


@pytest.mark.parametrize("way", ways(planar=True), ids=named)
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("alpha", [None, 0, ASSOCIATED, UNASSOCIATED])
def test_colours_in_planes(alpha: int | None, depth: int, way: Way) -> None:
    colours, clear = scene(3), scene(4)[..., 3:]
    stored = colours * clear if alpha == ASSOCIATED else colours
    expected = colours if not alpha else colours * clear + 1 - clear
    if alpha is not None:
        stored = np.concatenate([stored, clear], axis=2)
        way = replace(way, more=[(338, 3, [alpha])])
    assert_alike(stored_as(of_depth(stored, depth), depth, RGB, way), expected)


@pytest.mark.parametrize("depth", [10, 12, 14])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["plain strips", "plain tiles", "LZW, tiles", "PackBits"])
def test_colours_of_odd_depths(name: str, form: str, depth: int) -> None:
    way = replace(WAYS[name], **FORMS[form])
    assert_alike(stored_as(of_depth(scene(3), depth), depth, RGB, way), scene(3))


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("form", FORMS)
def test_inks(form: str, depth: int, *, planar: bool) -> None:
    inks = np.concatenate([1 - scene(3), np.zeros((45, 52, 1))], axis=2)
    assert_alike(stored_as(of_depth(inks, depth), depth, INK, Way(**FORMS[form], planar=planar)), scene(3))


def test_colour_map_of_8_bits_that_was_to_have_16() -> None:
    colours = (np.arange(256), 255 - np.arange(256), np.arange(256) // 2)
    index = of_depth(scene(1), 8)
    content = stored_as(index, 8, PALETTE, Way(more=[(320, 3, np.concatenate(colours).tolist())]))
    assert_alike(content, np.concatenate([colour[index] for colour in colours], axis=2) / 255)


def test_a_page_of_five_samples_shows_its_colours_and_its_alpha() -> None:
    colours, alpha = scene(3), scene(4)[..., 3:]
    samples = of_depth(np.concatenate([colours, alpha, 1 - alpha], axis=2), 16)
    content = stored_as(samples, 16, RGB, Way(more=[(338, 3, [UNASSOCIATED, 0])]))
    assert_alike(content, colours * alpha + 1 - alpha)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("is_big", [False, True])
def test_what_is_read_here_stands_upright_as_what_pillow_reads_does(orientation: int, *, is_big: bool) -> None:
    turned = Way(more=[(274, 3, [orientation])], is_big=is_big)
    by_pillow = decode_image(stored_as(of_depth(scene(3), 16), 16, RGB, turned), LIMIT)
    way = Way(more=turned.more, is_big=is_big, planar=True, compression=LZW)
    got = decode_image(stored_as(of_depth(scene(3), 16), 16, RGB, way), LIMIT)
    assert (got.width, got.height) == (by_pillow.width, by_pillow.height)
    assert np.abs(got.pixels.astype(int) - by_pillow.pixels).max() <= 1


@pytest.mark.parametrize("compression", [1, DEFLATE, LZW, PACKBITS, LZMA, ZSTD])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_strips_and_tiles_that_are_cut_off_or_damaged_are_no_picture(
    compression: int, tile: tuple[int, int] | None
) -> None:
    way = Way(planar=True, compression=compression, tile=tile, rows=10)
    content = bytearray(stored_as(of_depth(scene(3), 16), 16, RGB, way))
    beyond = replace(way, more=[(324 if tile else 273, 4, [len(content) + 9] * 48)])
    lost = _written_elsewhere(beyond)
    with pytest.raises(UndecodableError, match="is not there") as caught:
        decode_image(lost, LIMIT)
    assert caught.value.reason == "truncated"
    if compression in {DEFLATE, LZW, LZMA, ZSTD}:
        content[8:200] = bytes(192)
        with pytest.raises(UndecodableError) as caught:
            decode_image(bytes(content), LIMIT)
        assert caught.value.reason in {"truncated", "corrupt"}


def _written_elsewhere(way: Way) -> bytes:
    content = stored_as(of_depth(scene(3), 16), 16, RGB, replace(way, more=()))
    at = int.from_bytes(content[4:8], "little")
    changed = bytearray(content)
    for tag in range(at + 2, at + 2 + 12 * int.from_bytes(content[at : at + 2], "little"), 12):
        if int.from_bytes(content[tag : tag + 2], "little") == way.more[0][0]:
            place, count = (int.from_bytes(content[tag + n : tag + n + 4], "little") for n in (8, 4))
            changed[place : place + 4 * count] = (len(content) + 9).to_bytes(4, "little") * count
    return bytes(changed)

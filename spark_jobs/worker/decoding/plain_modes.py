"""Brings what Pillow decoded to one of five plain modes: L, LA, RGB, RGBA or CMYK, of 8 bits."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from spark_jobs.worker.decoding import tiff_file
from spark_jobs.worker.decoding.png_file import PngHeader
from spark_jobs.worker.decoding.tiff_file import TiffPage
from spark_jobs.worker.decoding.tiff_samples import scaled
from spark_jobs.worker.decoding.undecodable import UndecodableError

_PLAIN: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_BYTE: Final = 8
_MOST_COLOURS: Final = 3 << _BYTE
_BAND_PIXELS: Final = 1 << 20


def to_plain_mode(picture: Image.Image, png: PngHeader | None, tiff: TiffPage | None) -> Image.Image:
    """A decoded picture in a plain mode, with its transparency in an alpha channel.

    Raises:
        UndecodableError: its values have no range that anybody agreed on.
    """
    if picture.mode.startswith("I;16"):
        return _grey_of_words(picture, tiff)
    if picture.mode in {"I", "F"}:
        raise UndecodableError(
            "unsupported_format", f"grey values of 32 bits (mode {picture.mode}) have no agreed range"
        )
    if picture.mode in {"P", "PA"} and tiff is not None:
        _mend_colour_map(picture, tiff)
    if png is not None and "transparency" in picture.info and not isinstance(picture.info["transparency"], bytes):
        picture.info["transparency"] = _key_of_8_bits(picture.info["transparency"], png.depth)
    if picture.mode in _PLAIN and "transparency" not in picture.info:
        return picture
    if picture.mode == "La":  # colours that are multiplied by their alpha
        return picture.convert("LA")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _grey_of_words(picture: Image.Image, tiff: TiffPage | None) -> Image.Image:
    """Grey of 12 or 16 bits, scaled by its own depth; a PNG's one transparent grey compares with all 16 bits."""
    tags = {} if tiff is None else tiff.tags
    most = (1 << tiff_file.first(tags, tiff_file.BITS, 16)) - 1
    is_white_zero = tiff_file.first(tags, tiff_file.PHOTOMETRIC, tiff_file.BLACK_IS_ZERO) == tiff_file.WHITE_IS_ZERO
    key = picture.info.get("transparency")
    grey = Image.new("LA" if isinstance(key, int) else "L", picture.size)
    # Some rows at a time: the samples of all of them take several times the picture's memory.
    rows = max(1, _BAND_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        band = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
        samples: npt.NDArray[np.uint16] = np.asarray(band).astype(np.uint16)
        levels = scaled(samples, most)
        part = Image.fromarray(255 - levels if is_white_zero else levels)
        if isinstance(key, int):
            part.putalpha(Image.fromarray((samples != key).astype(np.uint8) * 255))
        grey.paste(part, (0, top))
    return grey


def _mend_colour_map(picture: Image.Image, tiff: TiffPage) -> None:
    """Give a palette its colours where a program wrote 8 bits of them, not 16: as libtiff, where none is above 255."""
    colour_map = tiff.tags.get(tiff_file.COLOUR_MAP, ())
    if 0 < len(colour_map) <= _MOST_COLOURS and max(colour_map) < 1 << _BYTE:
        colours = np.asarray(colour_map[: len(colour_map) // 3 * 3]).reshape(3, -1)
        picture.putpalette(colours.T.astype(np.uint8).tobytes(), "RGB")


def _key_of_8_bits(key: int | tuple[int, ...], depth: int) -> int | tuple[int, ...]:
    """The transparent colour of a PNG (11.3.1.1), which is written in the file's depth, as Pillow's pixels have it."""
    if isinstance(key, tuple):
        # Pillow keeps the high bytes of 16-bit colours: what differs in the low ones alone is transparent too.
        return tuple(value >> _BYTE for value in key) if depth > _BYTE else key
    # Of one bit Pillow makes the key 255 itself.
    return key * 255 // ((1 << depth) - 1) if 1 < depth < _BYTE else key

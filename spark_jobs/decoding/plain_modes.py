"""Brings what Pillow decoded to one of five plain modes: L, LA, RGB, RGBA or CMYK, of 8 bits."""

from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from spark_jobs.decoding import tiff_file
from spark_jobs.decoding.png_file import PngHeader
from spark_jobs.decoding.tiff_file import TiffPage
from spark_jobs.decoding.tiff_samples import scaled
from spark_jobs.decoding.undecodable import UndecodableError

_PLAIN: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})
_BYTE: Final = 8


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
    if png is not None and "transparency" in picture.info and not isinstance(picture.info["transparency"], bytes):
        picture.info["transparency"] = _key_of_8_bits(picture.info["transparency"], png.depth)
    if picture.mode in _PLAIN and "transparency" not in picture.info:
        return picture
    if picture.mode == "La":  # colours that are multiplied by their alpha
        return picture.convert("LA")
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _grey_of_words(picture: Image.Image, tiff: TiffPage | None) -> Image.Image:
    """Grey of 12 or 16 bits, scaled by its own depth; a PNG's one transparent grey compares with all 16 bits."""
    samples: npt.NDArray[np.uint16] = np.asarray(picture).astype(np.uint16)
    tags = {} if tiff is None else tiff.tags
    bits = tags.get(tiff_file.BITS, (16,))[0]
    levels = scaled(samples, (1 << bits) - 1)
    if tags.get(tiff_file.PHOTOMETRIC, (tiff_file.BLACK_IS_ZERO,))[0] == tiff_file.WHITE_IS_ZERO:
        levels = 255 - levels
    grey = Image.fromarray(levels)
    if isinstance(key := picture.info.get("transparency"), int):
        grey.putalpha(Image.fromarray(np.where(samples == key, 0, 255).astype(np.uint8)))
    return grey


def _key_of_8_bits(key: int | tuple[int, ...], depth: int) -> int | tuple[int, ...]:
    """The transparent colour of a PNG (11.3.1.1), which is written in the file's depth, as Pillow's pixels have it."""
    if isinstance(key, tuple):
        # Pillow keeps the high bytes of 16-bit colours: what differs in the low ones alone is transparent too.
        return tuple(value >> _BYTE for value in key) if depth > _BYTE else key
    # Of one bit Pillow makes the key 255 itself.
    return key * 255 // ((1 << depth) - 1) if 1 < depth < _BYTE else key

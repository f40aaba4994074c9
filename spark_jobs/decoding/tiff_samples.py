"""Reads the plain TIFFs that Pillow does not open or misreads: odd depths, 16 bits in planes, 16-bit grey with alpha.

Plain means strips, uncompressed or deflated, whose samples are whole numbers of up to 16 bits. Measured with Pillow 13:
16 bits in planes come out as noise; the others it does not open.
"""

import math
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from spark_jobs.decoding import tiff_file
from spark_jobs.decoding.tiff_file import Tags, TiffPage
from spark_jobs.decoding.undecodable import UndecodableError

_UNCOMPRESSED: Final = 1
_DEFLATED: Final = frozenset({8, 32_946})
_IN_PLANES: Final = 2
_WHOLE_NUMBERS: Final = 1
_MOST_BITS: Final = 16
_ROWS_AT_ONCE: Final = 64
_GREY, _RGB_SAMPLES = 1, 3
#: ExtraSamples: not said what, alpha that the colours are multiplied by, alpha beside them.
_ASSOCIATED, _UNASSOCIATED = 1, 2


def is_misread(page: Tags) -> bool:
    """Whether Pillow takes a page for something else than it is, and says nothing."""
    several = page.get(tiff_file.SAMPLES, (1,))[0] > 1
    return several and _bits(page) == _MOST_BITS and page.get(tiff_file.PLANAR, (1,))[0] == _IN_PLANES


def read_samples(content: bytes, tiff: TiffPage) -> Image.Image:
    """A page as L, LA, RGB or RGBA; its size is checked before.

    Raises:
        UndecodableError: it is not as plain as that, or its strips are not there.
    """
    page = tiff.tags
    _check_plain(page)
    width, height = tiff.size
    bits, samples = _bits(page), page.get(tiff_file.SAMPLES, (1,))[0]
    planes = samples if page.get(tiff_file.PLANAR, (1,))[0] == _IN_PLANES else 1
    rows_a_strip = min(page.get(tiff_file.ROWS_PER_STRIP, (height,))[0], height)
    strips_a_plane = math.ceil(height / rows_a_strip)
    values = width * samples // planes
    row_bytes = math.ceil(values * bits / 8)
    read = []
    for number in range(planes * strips_a_plane):
        rows = min(rows_a_strip, height - rows_a_strip * (number % strips_a_plane))
        strip = _strip(content, page, number, rows * row_bytes)
        # Some rows at a time: 12 bits take ten times their bytes on the way.
        step = _ROWS_AT_ONCE * row_bytes
        read += [
            _levels(strip[at : at + step], tiff.order, row_bytes, values, bits) for at in range(0, len(strip), step)
        ]
    stacked = np.concatenate(read)
    if planes > 1:
        pixels = stacked.reshape(planes, height, width).transpose(1, 2, 0)
    else:
        pixels = stacked.reshape(height, width, samples)
    return _image(np.ascontiguousarray(pixels), page)


def _check_plain(page: Tags) -> None:
    photometric, bits = page.get(tiff_file.PHOTOMETRIC, (-1,))[0], _bits(page)
    samples = page.get(tiff_file.SAMPLES, (1,))[0]
    colours = _RGB_SAMPLES if photometric == tiff_file.RGB else _GREY
    unlike = {
        f"photometric interpretation {photometric}": photometric not in {0, 1, tiff_file.RGB},
        f"{bits} bits a sample": not 1 <= bits <= _MOST_BITS or len(set(page.get(tiff_file.BITS, (1,)))) > 1,
        f"{samples} samples a pixel": samples not in {colours, colours + 1},
        "samples that are not whole numbers": set(page.get(tiff_file.SAMPLE_FORMAT, (1,))) != {_WHOLE_NUMBERS},
        f"compression {page.get(tiff_file.COMPRESSION, (1,))[0]}": (
            page.get(tiff_file.COMPRESSION, (1,))[0] not in {_UNCOMPRESSED, *_DEFLATED}
        ),
        "a predictor": page.get(tiff_file.PREDICTOR, (1,))[0] != 1,
        "reversed bits": page.get(tiff_file.FILL_ORDER, (1,))[0] != 1,
        "tiles": tiff_file.STRIP_OFFSETS not in page,
        "no size": not page.get(tiff_file.WIDTH, (0,))[0] or not page.get(tiff_file.HEIGHT, (0,))[0],
        "no rows in its strips": not page.get(tiff_file.ROWS_PER_STRIP, (1,))[0],
    }
    what = ", ".join(name for name, holds in unlike.items() if holds)
    if what:
        raise UndecodableError("unsupported_format", f"TIFF with {what}, {bits} bits a sample")


def _bits(page: Tags) -> int:
    return page.get(tiff_file.BITS, (1,))[0]


def _strip(content: bytes, page: Tags, number: int, size: int) -> bytes:
    """One strip of so many bytes, unpacked."""
    offsets, sizes = page[tiff_file.STRIP_OFFSETS], page.get(tiff_file.STRIP_BYTES, ())
    stored = sizes[number] if number < len(sizes) else size
    packed = content[offsets[number] : offsets[number] + stored] if number < len(offsets) else b""
    if page.get(tiff_file.COMPRESSION, (1,))[0] in _DEFLATED:
        try:
            packed = zlib.decompressobj().decompress(packed, size)
        except zlib.error as error:
            raise UndecodableError("corrupt", f"strip {number}: {error}") from error
    if len(packed) < size:
        raise UndecodableError("truncated", f"strip {number} has {len(packed):,} of {size:,} bytes")
    return packed[:size]


def _levels(strip: bytes, order: str, row_bytes: int, values: int, bits: int) -> npt.NDArray[np.uint8]:
    """Rows of samples as levels; it begins at a whole byte, its highest bit first (TIFF 6.0, 8)."""
    if bits == _MOST_BITS:
        samples = np.frombuffer(strip, f"{order}u2").astype(np.uint16)
    else:
        rows = np.unpackbits(np.frombuffer(strip, np.uint8).reshape(-1, row_bytes), axis=1)[:, : values * bits]
        weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint16)
        samples = rows.reshape(-1, bits) @ weights
    return scaled(samples, (1 << bits) - 1)


def _image(levels: npt.NDArray[np.uint8], page: Tags) -> Image.Image:
    colours = _RGB_SAMPLES if page[tiff_file.PHOTOMETRIC][0] == tiff_file.RGB else _GREY
    if page[tiff_file.PHOTOMETRIC][0] == tiff_file.WHITE_IS_ZERO:
        levels[..., :1] = 255 - levels[..., :1]
    extra = page.get(tiff_file.EXTRA_SAMPLES, (0,))[0]
    if extra not in {_ASSOCIATED, _UNASSOCIATED} or levels.shape[2] == colours:
        levels = levels[..., :colours]
    picture = Image.fromarray(np.ascontiguousarray(levels[..., 0] if levels.shape[2] == 1 else levels))
    if extra == _ASSOCIATED and levels.shape[2] > colours:
        picture = Image.frombytes("RGBa", picture.size, picture.convert("RGBA").tobytes()).convert("RGBA")
    return picture


def scaled(values: npt.NDArray[np.uint16], most: int) -> npt.NDArray[np.uint8]:
    """Samples of 0 to `most` as levels of 0 to 255; of 16 bits the high ones, as Pillow has it for colours."""
    if most == (1 << _MOST_BITS) - 1:
        return (values >> 8).astype(np.uint8)
    return np.asarray((values.astype(np.uint32) * 255 + most // 2) // most, np.uint8)

"""Reads the TIFFs that Pillow does not open or misreads: odd depths, 16 bits in planes, 16-bit grey with alpha.

Measured with Pillow 13: 16 bits in planes come out as noise, signed bytes as if they had no sign; colours in planes
that are multiplied by their alpha fail where they are not compressed; the others it does not open.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from spark_jobs.worker.decoding import tiff_file
from spark_jobs.worker.decoding.tiff_blocks import IN_PLANES, Layout, layout_of, rows_of_column
from spark_jobs.worker.decoding.tiff_compression import (
    BY_LIBTIFF,
    DEFLATED,
    PREDICTED,
    UNCOMPRESSED,
    name_of_compression,
)
from spark_jobs.worker.decoding.tiff_file import Tags, TiffPage, first
from spark_jobs.worker.decoding.undecodable import UndecodableError

_WHOLE_NUMBERS: Final = 1
_BYTE, _MOST_BITS = 8, 16
_MOST_SAMPLES: Final = 8
#: Samples of colour by the photometric interpretation.
_COLOURS: Final = {tiff_file.WHITE_IS_ZERO: 1, tiff_file.BLACK_IS_ZERO: 1, tiff_file.RGB: 3, tiff_file.INKS: 4}
#: ExtraSamples: alpha that the colours are multiplied by, alpha beside them.
_ASSOCIATED, _UNASSOCIATED = 1, 2
_HORIZONTAL: Final = 2
_CMYK: Final = 1
#: What Pillow knows and the libtiff of its wheels does not: WebP (measured with Pillow 13).
_NOT_BUILT_IN: Final = frozenset({50_001})

Levels = npt.NDArray[np.uint8]


class _Kind(NamedTuple):
    """What a page's samples mean: how many of them count, and Pillow's mode of them as stored and in the end."""

    samples: int
    stored: str
    mode: str
    is_white_zero: bool


def is_misread(page: Tags) -> bool:
    """Whether Pillow takes a page for something else than it is, and says nothing or that it is corrupt."""
    bits, formats = _bits(page), set(page.get(tiff_file.SAMPLE_FORMAT, (_WHOLE_NUMBERS,)))
    if bits <= _BYTE and formats != {_WHOLE_NUMBERS}:
        return True
    if first(page, tiff_file.SAMPLES, 1) == 1 or first(page, tiff_file.PLANAR, 1) != IN_PLANES:
        return False
    return bits == _MOST_BITS or first(page, tiff_file.EXTRA_SAMPLES, 0) == _ASSOCIATED


def check_compression(page: Tags) -> None:
    """Raise for what Pillow opens and then calls corrupt, because its libtiff does not have it.

    Raises:
        UndecodableError: it is not to be unpacked here.
    """
    compression = first(page, tiff_file.COMPRESSION, UNCOMPRESSED)
    if compression in _NOT_BUILT_IN:
        raise UndecodableError("unsupported_format", f"TIFF with {name_of_compression(compression)}")


def read_samples(content: bytes, tiff: TiffPage) -> Image.Image:
    """A page as L, LA, RGB, RGBA or CMYK; its size is checked before.

    Takes the memory of that and some megabytes; of LZW and other compressions of libtiff, one strip of each plane more.

    Raises:
        UndecodableError: it is not of whole numbers of up to 16 bits in a compression known here, or damaged.
    """
    page = tiff.tags
    _check_plain(page)
    layout, kind = layout_of(page), _kind(page)
    is_predicted = _is_predicted(page)
    picture = Image.new(kind.mode, tiff.size)
    planes = range(min(layout.planes, kind.samples))
    for column in range(layout.across):
        left, top = column * layout.block_width, 0
        streams = [rows_of_column(content, page, layout, plane, column) for plane in planes]
        for pieces in zip(*streams, strict=True):
            levels = [_levels(piece, tiff.order, layout, is_predicted=is_predicted) for piece in pieces]
            joined = levels[0] if len(levels) == 1 else np.concatenate(levels, axis=2)
            # What stands out over the picture's edges is not of it.
            seen = joined[: layout.height - top, : layout.width - left, : kind.samples]
            if seen.size:
                picture.paste(_image(seen, kind), (left, top))
            top += len(joined)
    return picture


def _check_plain(page: Tags) -> None:
    photometric, bits = first(page, tiff_file.PHOTOMETRIC, -1), _bits(page)
    samples, compression = first(page, tiff_file.SAMPLES, 1), first(page, tiff_file.COMPRESSION, UNCOMPRESSED)
    is_known = compression in {UNCOMPRESSED, *DEFLATED, *BY_LIBTIFF}
    predictor = first(page, tiff_file.PREDICTOR, 1) if compression in PREDICTED else 1
    unlike = {
        f"photometric interpretation {photometric}": photometric not in _COLOURS,
        f"{bits} bits a sample": not 1 <= bits <= _MOST_BITS or len(set(page.get(tiff_file.BITS, (1,)))) > 1,
        f"{samples} samples a pixel": not _COLOURS.get(photometric, 1) <= samples <= _MOST_SAMPLES,
        "samples that are not whole numbers": set(page.get(tiff_file.SAMPLE_FORMAT, (1,))) != {_WHOLE_NUMBERS},
        "inks other than CMYK": photometric == tiff_file.INKS and first(page, tiff_file.INK_SET, _CMYK) != _CMYK,
        name_of_compression(compression): not is_known,
        f"predictor {predictor}": predictor != 1 and not _is_predicted(page),
        "reversed bits": first(page, tiff_file.FILL_ORDER, 1) != 1,
        "no strips or tiles": not (tiff_file.STRIP_OFFSETS in page or tiff_file.TILE_OFFSETS in page),
    }
    what = ", ".join(name for name, holds in unlike.items() if holds)
    if what:
        raise UndecodableError("unsupported_format", f"TIFF with {what}, {bits} bits a sample")


def _bits(page: Tags) -> int:
    return first(page, tiff_file.BITS, 1)


def _is_predicted(page: Tags) -> bool:
    """Whether each sample is stored as its difference from the one to the left (TIFF 6.0, 14)."""
    predictor, compression = first(page, tiff_file.PREDICTOR, 1), first(page, tiff_file.COMPRESSION, UNCOMPRESSED)
    return predictor == _HORIZONTAL and compression in PREDICTED and _bits(page) in {_BYTE, _MOST_BITS}


def _kind(page: Tags) -> _Kind:
    photometric, extra = page[tiff_file.PHOTOMETRIC][0], first(page, tiff_file.EXTRA_SAMPLES, 0)
    colours = _COLOURS[photometric]
    is_white_zero = photometric == tiff_file.WHITE_IS_ZERO
    plain = {1: "L", 3: "RGB", 4: "CMYK"}[colours]
    has_alpha = extra in {_ASSOCIATED, _UNASSOCIATED} and first(page, tiff_file.SAMPLES, 1) > colours
    if not has_alpha or plain == "CMYK":
        return _Kind(colours, plain, plain, is_white_zero)
    stored = f"{plain}a" if extra == _ASSOCIATED else f"{plain}A"
    return _Kind(colours + 1, stored, f"{plain}A", is_white_zero)


def _levels(piece: bytes, order: str, layout: Layout, *, is_predicted: bool) -> Levels:
    """Whole rows of samples as levels [rows, columns, samples], a sample's highest bit first (TIFF 6.0, 8)."""
    shape = (-1, layout.block_width, layout.samples)
    if layout.bits == _MOST_BITS:
        words = np.frombuffer(piece, f"{order}u2").reshape(shape)
        if is_predicted:
            words = np.cumsum(words, axis=1, dtype=np.uint16)
        return scaled(words, (1 << _MOST_BITS) - 1)
    rows = np.frombuffer(piece, np.uint8).reshape(-1, layout.row_bytes)
    if layout.bits == _BYTE:
        levels = rows.reshape(shape)
        return np.cumsum(levels, axis=1, dtype=np.uint8) if is_predicted else levels
    samples = _of_odd_bits(rows, layout.bits)[:, : layout.block_width * layout.samples]
    return _levels_of_bits(layout.bits)[samples].reshape(shape)


def _of_odd_bits(rows: Levels, bits: int) -> npt.NDArray[np.uint16]:
    """Samples of fewer than 16 bits [rows, samples], some more than there are: eight at a time take `bits` bytes."""
    eights = -(-rows.shape[1] // bits)
    padded = np.zeros((len(rows), eights * bits + 2), np.uint8)
    padded[:, : rows.shape[1]] = rows
    samples = np.empty((len(rows), eights, 8), np.uint16)
    for number in range(8):
        start, skipped = divmod(number * bits, 8)
        # A sample lies in three bytes at most.
        high, middle, low = (padded[:, at : at + eights * bits : bits][:, :eights] for at in range(start, start + 3))
        joined = (high.astype(np.uint32) << 16) | (middle.astype(np.uint32) << 8) | low
        samples[..., number] = (joined >> (24 - skipped - bits)) & ((1 << bits) - 1)
    return samples.reshape(len(rows), -1)


@cache
def _levels_of_bits(bits: int) -> Levels:
    return scaled(np.arange(1 << bits, dtype=np.uint16), (1 << bits) - 1)


def _image(levels: Levels, kind: _Kind) -> Image.Image:
    """A piece of the picture."""
    if kind.is_white_zero:
        levels = np.concatenate([255 - levels[..., :1], levels[..., 1:]], axis=2)
    height, width = levels.shape[:2]
    piece = Image.frombytes(kind.stored, (width, height), np.ascontiguousarray(levels).tobytes())
    return piece if kind.stored == kind.mode else piece.convert(kind.mode)


def scaled(values: npt.NDArray[np.uint16], most: int) -> Levels:
    """Samples of 0 to `most` as levels of 0 to 255; of 16 bits the high ones, as Pillow has it for colours."""
    if most == (1 << _MOST_BITS) - 1:
        return (values >> 8).astype(np.uint8)
    return np.asarray((values.astype(np.uint32) * 255 + most // 2) // most, np.uint8)

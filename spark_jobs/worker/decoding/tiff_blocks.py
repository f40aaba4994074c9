"""Where the strips and tiles of a TIFF's page lie, and their rows of samples, unpacked."""

import itertools
import math
import zlib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from spark_jobs.worker.decoding import tiff_file
from spark_jobs.worker.decoding.tiff_compression import (
    BY_LIBTIFF,
    DEFLATED,
    PIECE_BYTES,
    UNCOMPRESSED,
    by_libtiff,
    inflated,
    most_stored,
)
from spark_jobs.worker.decoding.tiff_file import Tags, first
from spark_jobs.worker.decoding.undecodable import UndecodableError

IN_PLANES: Final = 2
#: Tiles stand out over the picture's edges. Real ones have up to 4096 x 4096 pixels; together, no more than this or
#: four times the picture: what stands out costs as much as a picture of that size.
_TILED_PIXELS: Final = 1 << 24
_TILED_SHARE: Final = 4


class Layout(NamedTuple):
    """A page's blocks: tiles, or strips, which are as wide as the page.

    Attributes:
        width, height: of the page, in pixels.
        block_width, block_height: of a block.
        planes: 1, or one for each sample.
        samples: of a pixel in a block.
    """

    width: int
    height: int
    block_width: int
    block_height: int
    is_tiled: bool
    planes: int
    samples: int
    bits: int

    @property
    def across(self) -> int:
        """Blocks side by side."""
        return math.ceil(self.width / self.block_width)

    @property
    def down(self) -> int:
        """Blocks one below the other."""
        return math.ceil(self.height / self.block_height)

    @property
    def row_bytes(self) -> int:
        """Of a block's row: each begins at a whole byte."""
        return math.ceil(self.block_width * self.samples * self.bits / 8)

    @property
    def block_rows(self) -> list[int]:
        """The rows of the blocks one below the other: the last strip ends with the page, the last tile does not."""
        last = self.block_height if self.is_tiled else self.height - self.block_height * (self.down - 1)
        return [self.block_height] * (self.down - 1) + [last]


def layout_of(page: Tags) -> Layout:
    """How a page is cut into blocks.

    Raises:
        UndecodableError: it does not say it, or its blocks are far larger than the page.
    """
    width, height = tiff_file.size_of(page)
    samples, is_tiled = first(page, tiff_file.SAMPLES, 1), tiff_file.TILE_OFFSETS in page
    if is_tiled:
        block_width, block_height = first(page, tiff_file.TILE_WIDTH, 0), first(page, tiff_file.TILE_HEIGHT, 0)
    else:
        block_width, block_height = width, min(first(page, tiff_file.ROWS_PER_STRIP, height), height)
    if not width or not height:
        raise UndecodableError("unsupported_format", "TIFF with no size")
    if not block_width or not block_height:
        raise UndecodableError("unsupported_format", "TIFF with no rows or columns in its strips or tiles")
    planes = samples if first(page, tiff_file.PLANAR, 1) == IN_PLANES else 1
    bits = first(page, tiff_file.BITS, 1)
    layout = Layout(width, height, block_width, block_height, is_tiled, planes, samples // planes, bits)
    covered = layout.across * block_width * layout.down * block_height
    if is_tiled and covered > max(_TILED_PIXELS, _TILED_SHARE * width * height):
        raise UndecodableError("unsupported_format", f"TIFF with tiles of {block_width} x {block_height} pixels")
    return layout


def rows_of_column(content: bytes, page: Tags, layout: Layout, plane: int, column: int) -> Iterator[bytes]:
    """The rows of the blocks one below the other, in pieces of whole rows; all columns of all planes in equal ones.

    Raises:
        UndecodableError: a block is damaged or not there.
    """
    step = max(1, PIECE_BYTES // layout.row_bytes) * layout.row_bytes
    kept = bytearray()
    for piece in _unpacked(content, page, layout, plane, column):
        kept += piece
        while len(kept) >= step:
            yield bytes(kept[:step])
            del kept[:step]
    if kept:
        yield bytes(kept)


def _unpacked(content: bytes, page: Tags, layout: Layout, plane: int, column: int) -> Iterable[bytes]:
    start = plane * layout.across * layout.down + column
    numbers = range(start, start + layout.across * layout.down, layout.across)
    sizes = [rows * layout.row_bytes for rows in layout.block_rows]
    compression = first(page, tiff_file.COMPRESSION, UNCOMPRESSED)
    if compression in BY_LIBTIFF:
        blocks = (_stored(content, page, number, size) for number, size in zip(numbers, sizes, strict=True))
        return by_libtiff(blocks, compression, layout.row_bytes, layout.block_rows)
    return itertools.chain.from_iterable(
        _whole(_block(content, page, number, size), number, size) for number, size in zip(numbers, sizes, strict=True)
    )


def _block(content: bytes, page: Tags, number: int, size: int) -> Iterable[bytes]:
    stored = _stored(content, page, number, size)
    if first(page, tiff_file.COMPRESSION, UNCOMPRESSED) in DEFLATED:
        return inflated(stored, size)
    return (bytes(stored[at : min(at + PIECE_BYTES, size)]) for at in range(0, min(size, len(stored)), PIECE_BYTES))


def _stored(content: bytes, page: Tags, number: int, size: int) -> memoryview:
    """What the file holds of a strip or tile that unpacks to so many bytes."""
    is_tiled = tiff_file.TILE_OFFSETS in page
    offsets = page.get(tiff_file.TILE_OFFSETS if is_tiled else tiff_file.STRIP_OFFSETS, ())
    lengths = page.get(tiff_file.TILE_BYTES if is_tiled else tiff_file.STRIP_BYTES, ())
    if number >= len(offsets) or int(offsets[number]) >= len(content):
        raise UndecodableError("truncated", f"strip or tile {number} is not there")
    most = most_stored(size)
    length = min(int(lengths[number]), most) if number < len(lengths) else most
    return memoryview(content)[int(offsets[number]) :][:length]


def _whole(pieces: Iterable[bytes], number: int, size: int) -> Iterator[bytes]:
    """The same pieces, if they are as much as the block has."""
    got = 0
    try:
        for piece in pieces:
            got += len(piece)
            yield piece
    except zlib.error as error:
        raise UndecodableError("corrupt", f"strip or tile {number}: {error}") from error
    if got < size:
        raise UndecodableError("truncated", f"strip or tile {number} has {got:,} of {size:,} bytes")

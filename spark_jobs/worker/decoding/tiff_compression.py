"""Unpacks the strips and tiles of a TIFF, a piece at a time, never more than its header says that they hold."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from PIL import Image

from spark_jobs.worker.decoding.undecodable import UndecodableError

UNCOMPRESSED: Final = 1
DEFLATED: Final = frozenset({8, 32_946})
#: LZW, PackBits, LZMA, ZSTD: libtiff's, through Pillow.
BY_LIBTIFF: Final = frozenset({5, 32_773, 34_925, 50_000})
#: A predictor changes what these packed; with the others libtiff takes no notice of the tag.
PREDICTED: Final = frozenset({*DEFLATED, 5, 34_925, 50_000})
#: Names to tell a user (TIFF 6.0; libtiff's tiff.h).
_NAMES: Final = {
    2: "CCITT", 3: "CCITT G3", 4: "CCITT G4", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate", 9: "JBIG", 10: "JBIG",
    32_773: "PackBits", 32_809: "ThunderScan", 32_946: "deflate", 33_003: "JPEG 2000", 33_005: "JPEG 2000",
    34_661: "JBIG", 34_676: "LogLuv", 34_677: "LogLuv", 34_712: "JPEG 2000", 34_887: "LERC", 34_925: "LZMA",
    34_933: "PNG", 34_934: "JPEG XR", 50_000: "ZSTD", 50_001: "WebP", 50_002: "JPEG XL", 52_546: "JPEG XL",
}  # fmt: skip
#: What is unpacked at once, and what of the file is read at once.
PIECE_BYTES: Final = 1 << 20
_INPUT_BYTES: Final = 1 << 16
#: What libtiff unpacks at once: blocks of so many bytes together, and so many of them.
_GROUP_BYTES: Final = 1 << 22
_GROUP_BLOCKS: Final = 1024


def name_of_compression(number: int) -> str:
    """A compression's name and its number."""
    return f"{_NAMES[number]} (compression {number})" if number in _NAMES else f"compression {number}"


def most_stored(size: int) -> int:
    """More bytes than a block of so many takes in any of the compressions; a file may say what it likes.

    LZW writes 12 bits for a byte at worst.
    """
    return 2 * size + 1024


def inflated(packed: memoryview, size: int) -> Iterator[bytes]:
    """The first bytes of a zlib stream; fewer where it ends before.

    Raises:
        zlib.error: it is damaged.
    """
    unpacker = zlib.decompressobj()
    at = left = 0
    left = size
    while left and not unpacker.eof:
        fed = unpacker.unconsumed_tail or packed[at : at + _INPUT_BYTES]
        if not unpacker.unconsumed_tail:
            at += _INPUT_BYTES
        piece = unpacker.decompress(fed, min(left, PIECE_BYTES))
        if not piece and not len(fed):
            return
        left -= len(piece)
        yield piece


def by_libtiff(blocks: Iterator[memoryview], compression: int, row_bytes: int, rows: list[int]) -> Iterator[bytes]:
    """Blocks of so many rows each, all but the last of the same number, one below the other.

    Raises:
        UndecodableError: libtiff cannot unpack them.
    """
    at_once = max(1, min(_GROUP_BLOCKS, _GROUP_BYTES // (row_bytes * rows[0])))
    for start in range(0, len(rows), at_once):
        group = rows[start : start + at_once]
        wrapped = _as_grey([next(blocks) for _ in group], compression, row_bytes, group)
        try:
            with Image.open(io.BytesIO(wrapped), formats=("TIFF",)) as picture:
                picture.load()
                step = max(1, PIECE_BYTES // row_bytes)
                for top in range(0, picture.height, step):
                    yield picture.crop((0, top, row_bytes, min(top + step, picture.height))).tobytes()
        except OSError as error:
            message = f"{name_of_compression(compression)} cannot be unpacked: {error}"
            raise UndecodableError("corrupt", message) from error


def _as_grey(blocks: list[memoryview], compression: int, row_bytes: int, rows: list[int]) -> bytes:
    """A TIFF whose grey pixels are the bytes of these blocks, each a strip of it."""
    count = len(blocks)
    arrays_at = 8 + 2 + 12 * 9 + 4
    data_at = arrays_at + (8 * count if count > 1 else 0)
    offsets = [data_at]
    for block in blocks[:-1]:
        offsets.append(offsets[-1] + len(block))
    sizes = [len(block) for block in blocks]
    numbers = (
        (256, 1, row_bytes), (257, 1, sum(rows)), (258, 1, 8), (259, 1, compression), (262, 1, 1),
        (273, count, arrays_at if count > 1 else offsets[0]), (277, 1, 1), (278, 1, rows[0]),
        (279, count, arrays_at + 4 * count if count > 1 else sizes[0]),
    )  # fmt: skip
    tags = b"".join(struct.pack("<HHII", tag, 4, values, value) for tag, values, value in numbers)
    arrays = struct.pack(f"<{2 * count}I", *offsets, *sizes) if count > 1 else b""
    return b"".join((b"II*\0", struct.pack("<IH", 8, 9), tags, bytes(4), arrays, *blocks))

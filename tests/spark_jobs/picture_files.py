"""Writes PNGs and TIFFs byte by byte, so that their pixels are known by construction, and damages JPEGs."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Samples = npt.NDArray[np.int64]

#: TIFF's formats of numbers: BYTE, ASCII, SHORT, LONG, UNDEFINED.
_LETTERS = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B"}
_STRIP_OFFSETS = 273


def packed(rows: Samples, depth: int, order: str = ">") -> bytes:
    """Rows of samples, each beginning at a whole byte."""
    if depth == 16:
        return rows.astype(f"{order}u2").tobytes()
    bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: Samples, depth: int, colour_type: int, *before: bytes) -> bytes:
    """A PNG of samples [height, width(, channels)], with chunks before its pixels."""
    height, width = samples.shape[:2]
    lines = b"".join(b"\0" + packed(row[None], depth) for row in samples.reshape(height, -1))
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(
    samples: Samples,
    depth: int,
    photometric: int,
    order: str = "<",
    *,
    planar: bool = False,
    deflated: bool = False,
    more: Iterable[tuple[int, int, Sequence[int]]] = (),
) -> bytes:
    """A TIFF of samples [height, width(, channels)], `more` tags being (number, format, values)."""
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    planes = [samples[..., n] for n in range(channels)] if planar else [samples.reshape(height, -1)]
    strips = [packed(plane, depth, order) for plane in planes]
    if deflated:
        strips = [zlib.compress(strip) for strip in strips]
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [depth] * channels), 259: (3, [8 if deflated else 1]),
        262: (3, [photometric]), _STRIP_OFFSETS: (4, [0] * len(strips)), 277: (3, [channels]), 278: (4, [height]),
        279: (4, [len(strip) for strip in strips]), 284: (3, [2 if planar else 1]),
    }  # fmt: skip
    tags |= {number: (kind, values) for number, kind, values in more}
    start = 8 + 2 + 12 * len(tags) + 4
    outside = sum(len(_values(order, *tag)) for tag in tags.values() if len(_values(order, *tag)) > 4)
    offsets = [start + outside + sum(map(len, strips[:n])) for n in range(len(strips))]
    tags[_STRIP_OFFSETS] = (4, offsets)
    entries, beyond = b"", b""
    for number, (kind, values) in sorted(tags.items()):
        data = _values(order, kind, values)
        if len(data) > 4:
            data, beyond = struct.pack(order + "I", start + len(beyond)), beyond + data
        entries += struct.pack(order + "HHI", number, kind, len(values)) + data.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return head + entries + bytes(4) + beyond + b"".join(strips)


def _values(order: str, kind: int, values: Sequence[int]) -> bytes:
    return struct.pack(f"{order}{len(values)}{_LETTERS[kind]}", *values)


def ramp(depth: int) -> Samples:
    """Four equal rows of eight samples from the least to the most."""
    return np.tile(np.linspace(0, 2**depth - 1, 8).round().astype(np.int64), (4, 1))


def levels(samples: Samples, depth: int) -> Samples:
    """Samples as levels of 0 to 255."""
    return np.asarray(np.round(samples * 255 / (2**depth - 1)), np.int64)

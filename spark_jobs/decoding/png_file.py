"""The chunks of a PNG before its pixels (PNG's third edition, W3C, 5 and 11)."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = b"IDAT"
_COLOURS = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})
#: Length, kind and checksum around a chunk's data.
_FRAME_BYTES = 12
#: More chunks than any encoder writes before the pixels, and few enough to be read at once.
_MOST_CHUNKS = 1000
#: The depth of a grey sample is byte 8 of IHDR, the kind of colour byte 9.
_DEPTH, _COLOUR_TYPE = 8, 9


class Chunk(NamedTuple):
    """A chunk: its kind, and where it begins and ends in the file."""

    kind: bytes
    start: int
    end: int


class PngHeader(NamedTuple):
    """What a PNG says before its pixels: the data of its whole chunks by their kind; of several, the first."""

    chunks: dict[bytes, bytes]

    @property
    def depth(self) -> int:
        """The bits of a sample."""
        header = self.chunks.get(b"IHDR", b"")
        return header[_DEPTH] if len(header) > _COLOUR_TYPE else 0


def read_header(content: bytes) -> PngHeader:
    """The chunks before the pixels; one whose checksum is wrong is not there, as for libpng."""
    found: dict[bytes, bytes] = {}
    for kind, start, end in _chunks(content):
        body = content[start + 4 : end - 4]
        if zlib.crc32(body) == struct.unpack(">I", content[end - 4 : end])[0]:
            found.setdefault(kind, body[4:])
    return PngHeader(found)


def without_colours(content: bytes) -> bytes:
    """The same PNG without what it says of its colours: Pillow refuses the whole file where that is broken or large."""
    kept, at = [], 0
    for kind, start, end in _chunks(content):
        if kind in _COLOURS:
            kept.append(content[at:start])
            at = end
    return b"".join([*kept, content[at:]]) if kept else content


def _chunks(content: bytes) -> Iterator[Chunk]:
    at = len(_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if at + _FRAME_BYTES > len(content):
            return
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        end = at + _FRAME_BYTES + length
        if kind == _PIXELS or end > len(content):
            return
        yield Chunk(kind, at, end)
        at = end

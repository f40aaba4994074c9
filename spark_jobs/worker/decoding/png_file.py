"""The chunks of a PNG (its third edition, W3C, 5 and 11)."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from spark_jobs.worker.decoding.undecodable import UndecodableError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = b"IDAT"
#: What is read here before the pixels.
_HEADER = frozenset({b"IHDR", b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})
#: What Pillow reads of the chunks that may be skipped: transparency, and how the picture lies; ImageMagick writes the
#: latter as a text.
_READ = frozenset({b"tRNS", b"eXIf"})
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_EXIF_AS_TEXT = b"Raw profile type "
_MOST_TEXT_BYTES = 100_000
#: The bit of a kind's first letter that says that its chunk may be skipped (5.4).
_ANCILLARY = 0x20
#: Length, kind and checksum around a chunk's data.
_FRAME_BYTES = 12
#: More chunks than any encoder writes (of 100 MB in pieces of 1 KB), and few enough to be read at once.
MOST_CHUNKS = 100_000
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
    for chunk in _chunks(content):
        if chunk.kind == _PIXELS:
            break
        if chunk.kind in _HEADER and _is_whole(content, chunk):
            found.setdefault(chunk.kind, content[chunk.start + 8 : chunk.end - 4])
    return PngHeader(found)


def without_notes(content: bytes) -> bytes:
    """The same PNG without what its pixels do not need: Pillow refuses the whole file for a note that is not right.

    Chunks that may be skipped and whose checksum is wrong are left out as well, as libpng does (PNG, 13.2).
    """
    kept, at = [], 0
    for chunk in _chunks(content):
        if chunk.kind[0] & _ANCILLARY and not (_is_read(content, chunk) and _is_whole(content, chunk)):
            kept.append(content[at : chunk.start])
            at = chunk.end
    return b"".join([*kept, content[at:]]) if kept else content


def _is_read(content: bytes, chunk: Chunk) -> bool:
    if chunk.kind in _TEXTS:
        return chunk.end - chunk.start <= _MOST_TEXT_BYTES and content.startswith(_EXIF_AS_TEXT, chunk.start + 8)
    return chunk.kind in _READ


def _is_whole(content: bytes, chunk: Chunk) -> bool:
    return zlib.crc32(content[chunk.start + 4 : chunk.end - 4]) == int.from_bytes(content[chunk.end - 4 : chunk.end])


def _chunks(content: bytes) -> Iterator[Chunk]:
    at = len(_SIGNATURE)
    for _ in range(MOST_CHUNKS):
        if at + _FRAME_BYTES > len(content):
            return
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        end = at + _FRAME_BYTES + length
        if end > len(content):
            return
        yield Chunk(kind, at, end)
        at = end
    raise UndecodableError("corrupt", f"a PNG of more than {MOST_CHUNKS:,} chunks")

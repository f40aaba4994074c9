"""Files that are broken on purpose, as they turn up in real folders."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

HUGE_SIDE = 30_000
_ORIENTATION = 0x0112


@dataclasses.dataclass(frozen=True)
class BrokenKind:
    """A way of being broken: a name for the file, what `featurize` should make of it, and the bytes for a picture."""

    name: str
    outcome: str
    spoil: Callable[[Image.Image], bytes]


def encoded(image: Image.Image, form: str = "JPEG", quality: int = 88) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **({"quality": quality} if form == "JPEG" else {}))
    return buffer.getvalue()


def _truncated(image: Image.Image) -> bytes:
    data = encoded(image)
    return data[: len(data) * 3 // 5]


def _text(_image: Image.Image) -> bytes:
    return b"<html><body>404: this picture is not here any more</body></html>\n"


def _empty(_image: Image.Image) -> bytes:
    return b""


def _huge(_image: Image.Image) -> bytes:
    """A PNG of 30,000 x 30,000 black pixels in about 110 kB: it takes 2.7 GB to whoever decodes it."""
    deflate = zlib.compressobj(9)
    row = bytes(1 + HUGE_SIDE // 8)  # the filter's byte, then one bit a pixel
    packed = b"".join(deflate.compress(row * 100) for _ in range(HUGE_SIDE // 100)) + deflate.flush()
    header = struct.pack(">IIBBBBB", HUGE_SIDE, HUGE_SIDE, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _other_format(image: Image.Image) -> bytes:
    return encoded(image, "PNG")


def _corrupt(image: Image.Image) -> bytes:
    """A JPEG whose tables are gone: it begins and ends as one, and no decoder can read between."""
    data = bytearray(encoded(image))
    start = data.index(b"\xff\xdb")
    data[start : start + 300] = bytes(300)
    return bytes(data)


def _heic(_image: Image.Image) -> bytes:
    """What a phone writes unless it is told otherwise: the head of a HEIC file, under the name of a JPEG."""
    return struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(512)


def _sideways(image: Image.Image) -> bytes:
    """A picture stored lying on its side, with the note that says so (EXIF orientation 6)."""
    exif = Image.Exif()
    exif[_ORIENTATION] = 6
    buffer = io.BytesIO()
    image.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", quality=88, exif=exif)
    return buffer.getvalue()


BROKEN_KINDS = (
    BrokenKind("truncated.jpg", "reject: decode, truncated", _truncated),
    BrokenKind("text.jpg", "reject: decode, not_an_image", _text),
    BrokenKind("empty.jpg", "reject: decode, empty", _empty),
    BrokenKind("huge.png", "reject: decode, too_large", _huge),
    BrokenKind("really a png.jpg", "no reject: a picture under a wrong extension", _other_format),
    BrokenKind("corrupt.jpg", "reject: decode, corrupt", _corrupt),
    BrokenKind("heic.jpg", "reject: decode, unsupported_format", _heic),
    BrokenKind("sideways.jpg", "no reject: turned upright by its EXIF orientation", _sideways),
)

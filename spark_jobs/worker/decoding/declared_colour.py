"""What a file says of its colours: its ICC profile, or one made of what it says in another way."""

import struct
import zlib
from typing import Any, Final, NamedTuple

from PIL import Image

from spark_jobs.worker.decoding.icc_profile import BT709, PRIMARIES, TRANSFERS, Primaries, power, rgb_profile
from spark_jobs.worker.decoding.png_file import PngHeader

#: The largest profiles of printing presses have 3 MB.
MAX_PROFILE_BYTES: Final = 16_000_000
#: PNG writes gamma and chromaticities times this (11.3.2).
_PNG_SCALE: Final = 100_000
#: Gammas beyond are nobody's.
_GAMMAS: Final = (0.1, 10.0)
#: The primaries and the curve of sRGB in H.273.
_SRGB_PRIMARIES: Final = 1
_SRGB_CURVES: Final = frozenset({1, 6, 13, 14, 15})
_UNSPECIFIED: Final = 2
#: A BMP's header (BITMAPV5HEADER) from the file's begin: its size, what its colours are, where a profile is, its bytes.
_BMP_HEADER, _BMP_SIZE, _BMP_COLOURS, _BMP_PROFILE = 14, 14, 70, 126
_BMP_V5_BYTES: Final = 124
_BMP_EMBEDDED: Final = b"DEBM"
#: JPEG's profile lies in APP2 segments of this name (ICC.1:2010, B.4).
_JPEG_PROFILE: Final = b"ICC_PROFILE\0"
#: A HEIF or AVIF says it in a `colr` box (ISO/IEC 14496-12, 12.1.5), near its begin.
_NCLX: Final = b"colrnclx"
_HEIF_HEADER_BYTES: Final = 1 << 16


class DeclaredColour(NamedTuple):
    """A picture's ICC profile; None where it is sRGB or says nothing, with what is wrong where it said it wrongly."""

    profile: bytes | None
    problem: str | None = None


_SRGB: Final = DeclaredColour(None)


def declared_colour(picture: Image.Image, content: bytes, png: PngHeader | None) -> DeclaredColour:
    """What a file says of its colours, as a browser looks for it."""
    try:
        found = _of_png(png) if png is not None else _of_others(picture, content)
    except (ValueError, struct.error, zlib.error, ArithmeticError) as error:
        return DeclaredColour(None, str(error)[:200])
    if found.profile is not None and len(found.profile) > MAX_PROFILE_BYTES:
        return DeclaredColour(None, f"it has {len(found.profile):,} bytes")
    return found


def _of_png(png: PngHeader) -> DeclaredColour:
    """Of several, the first in this order counts (PNG's third edition, 4.3 and 11.3.2)."""
    chunks = png.chunks
    if b"cICP" in chunks:
        primaries, transfer, matrix, _ = struct.unpack(">4B", chunks[b"cICP"])
        if matrix == 0:  # RGB; others are not allowed in a PNG, and mean nothing
            return _of_numbers(primaries, transfer)
    if b"iCCP" in chunks:
        return _of_iccp(chunks[b"iCCP"])
    if b"sRGB" in chunks or b"gAMA" not in chunks:
        return _SRGB
    gamma = _gamma(chunks[b"gAMA"])
    primaries = _chromaticities(chunks[b"cHRM"]) if b"cHRM" in chunks else BT709
    return DeclaredColour(rgb_profile(primaries, power(1 / gamma)))


def _of_iccp(data: bytes) -> DeclaredColour:
    _, _, rest = data.partition(b"\0")
    unpacker = zlib.decompressobj()
    profile = unpacker.decompress(rest[1:], MAX_PROFILE_BYTES + 1)
    return DeclaredColour(profile)


def _gamma(data: bytes) -> float:
    gamma = float(struct.unpack(">I", data)[0]) / _PNG_SCALE
    if not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
        raise ValueError(f"its gamma is {gamma}")
    return gamma


def _chromaticities(data: bytes) -> Primaries:
    white, red, green, blue = struct.iter_unpack(">2I", data)
    red, green, blue, white = ((x / _PNG_SCALE, y / _PNG_SCALE) for x, y in (red, green, blue, white))
    return Primaries(red, green, blue, white)


def _of_numbers(primaries: int, transfer: int) -> DeclaredColour:
    """The colours that H.273 numbers."""
    if primaries == _UNSPECIFIED:
        primaries = _SRGB_PRIMARIES
    if transfer == _UNSPECIFIED or (primaries == _SRGB_PRIMARIES and transfer in _SRGB_CURVES):
        return _SRGB if primaries == _SRGB_PRIMARIES else _of_numbers(primaries, 13)
    if primaries not in PRIMARIES or transfer not in TRANSFERS:
        return DeclaredColour(None, f"primaries {primaries} and transfer curve {transfer} of H.273 are not known")
    return DeclaredColour(rgb_profile(PRIMARIES[primaries], TRANSFERS[transfer]))


def _of_others(picture: Image.Image, content: bytes) -> DeclaredColour:
    profile: Any = picture.info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        return DeclaredColour(profile)
    if picture.format in {"JPEG", "MPO"} and _JPEG_PROFILE in _head(content):
        return DeclaredColour(None, "not all of its parts are there")
    if picture.format == "BMP":
        return _of_bmp(content)
    if picture.format in {"AVIF", "HEIF"} and (at := _head(content).find(_NCLX)) >= 0:
        primaries, transfer = struct.unpack(">2H", content[at + 8 : at + 12])
        return _of_numbers(primaries, transfer)
    return _SRGB


def _head(content: bytes) -> bytes:
    return content[:_HEIF_HEADER_BYTES]


def _of_bmp(content: bytes) -> DeclaredColour:
    size = int.from_bytes(content[_BMP_SIZE : _BMP_SIZE + 4], "little")
    if size < _BMP_V5_BYTES or content[_BMP_COLOURS : _BMP_COLOURS + 4] != _BMP_EMBEDDED:
        return _SRGB
    offset, length = struct.unpack("<2I", content[_BMP_PROFILE : _BMP_PROFILE + 8])
    profile = content[_BMP_HEADER + offset : _BMP_HEADER + offset + length]
    if not profile or len(profile) < length:
        return DeclaredColour(None, "it lies beyond the file's end")
    return DeclaredColour(profile)

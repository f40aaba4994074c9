"""Decodes a JPEG with a decoder that says what it had to guess: Pillow's is the same libjpeg-turbo, and keeps it quiet.

The pixels are equal to Pillow's (`draft` included), and so is the time.
"""

import re
from typing import Final, NamedTuple

import simplejpeg
from PIL import Image

from spark_jobs.worker.decoding.file_signatures import is_cut_off
from spark_jobs.worker.decoding.jpeg_file import hole, without_oddities
from spark_jobs.worker.decoding.jpeg_progression import unfinished_progression
from spark_jobs.worker.decoding.undecodable import UndecodableError

#: How libjpeg-turbo scales while it decodes, without the slow odd eighths; Pillow's choice too.
_SCALES = (8, 4, 2)
_COLOURS: Final = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
#: Adobe's CMYK is stored inverted, and Pillow takes every CMYK JPEG for Adobe's.
_RAW_MODES: Final = {"L": "L", "RGB": "RGB", "CMYK": "CMYK;I"}
#: What TurboJPEG's own interface says, not libjpeg: a limit of that interface.
_OF_INTERFACE = "tj"
#: Warnings of libjpeg (jerror.h) after which the pixels are right. As only the first of a file is told, the file is
#: decoded again without what they are about.
_HARMLESS = (
    "Warning: unknown JFIF revision",
    "Unknown Adobe color transform",
    "Inconsistent progression sequence",
    "Invalid SOS parameters for sequential JPEG",
    # A profile whose parts are not all there: declared_colour.py tells of it.
    "Corrupt JPEG data: bad ICC marker",
)
_CUT_OFF = "Premature end of JPEG file"
_EXTRANEOUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_END_MARKER = "d9"
#: So many bytes behind the last block are an encoder's slip; damage leaves hundreds.
_FEW_BYTES = 3


class JpegPixels(NamedTuple):
    """A JPEG's pixels, and what is damaged inside it."""

    image: Image.Image
    damage: str | None


def read_jpeg(picture: Image.Image, content: bytes, least_size: tuple[int, int], *, take_damaged: bool) -> JpegPixels:
    """Decode a JPEG that Pillow opened, at 1/2, 1/4 or 1/8 where that is no smaller than `least_size`.

    Raises:
        UndecodableError: it cannot be decoded, or is damaged inside and damaged pictures are not taken.
    """
    scale = _scale(picture.size, least_size)
    heard = _hear(content, picture, scale)
    if isinstance(heard, str) and heard.startswith(_OF_INTERFACE):
        # Rare ways of sampling the colours: Pillow decodes them, and says less of damage.
        damage, image = _unheard_damage(content), _by_pillow(picture, least_size)
    elif isinstance(heard, str):
        damage = _damage(content, picture, heard)
        _refuse(content, damage, take_damaged=take_damaged)
        image = _lenient(content, picture, scale, least_size)
    else:
        damage, image = _unheard_damage(content), heard
    _refuse(content, damage, take_damaged=take_damaged)
    return JpegPixels(image, damage)


def _refuse(content: bytes, damage: str | None, *, take_damaged: bool) -> None:
    if damage is not None and not take_damaged:
        cut_off = damage.startswith(_CUT_OFF) or is_cut_off(content, "JPEG")
        raise UndecodableError("truncated" if cut_off else "corrupt", f"damaged inside: {damage}")


def _scale(size: tuple[int, int], least: tuple[int, int]) -> int:
    most = min(size[0] // least[0], size[1] // least[1])
    return next((scale for scale in _SCALES if scale <= most), 1)


def _hear(content: bytes, picture: Image.Image, scale: int) -> Image.Image | str:
    """The picture, or what libjpeg said first."""
    try:
        return _decode(content, picture, scale, strict=True)
    except ValueError as error:
        return str(error)


def _lenient(content: bytes, picture: Image.Image, scale: int, least_size: tuple[int, int]) -> Image.Image:
    """As far as it can be decoded; a header with something odd in it only Pillow passes over."""
    try:
        return _decode(content, picture, scale, strict=False)
    except ValueError:
        return _by_pillow(picture, least_size)


def _by_pillow(picture: Image.Image, least_size: tuple[int, int]) -> Image.Image:
    picture.draft(picture.mode, least_size)
    picture.load()
    return picture


def _decode(content: bytes, picture: Image.Image, scale: int, *, strict: bool) -> Image.Image:
    width, height = picture.size
    pixels = simplejpeg.decode_jpeg(
        content,
        _COLOURS[picture.mode],
        min_height=-(-height // scale),
        min_width=-(-width // scale),
        min_factor=scale,
        strict=strict,
    )
    size = (pixels.shape[1], pixels.shape[0])
    return Image.frombuffer(picture.mode, size, pixels, "raw", _RAW_MODES[picture.mode], 0, 1)


def _damage(content: bytes, picture: Image.Image, heard: str) -> str | None:
    """What is damaged, of a picture of which libjpeg said something; None where it is only odd."""
    if heard.startswith(_CUT_OFF):
        return _damage_before_end(content, picture, heard)
    if not heard.startswith(_HARMLESS) and not _EXTRANEOUS.match(heard):
        return heard
    plain = without_oddities(content)
    again = _hear(plain, picture, _SCALES[0])
    if not isinstance(again, str):
        return _unheard_damage(content)
    found = _EXTRANEOUS.match(again)
    if again.startswith(_HARMLESS) or (found and _is_padding(plain, int(found[1]), found[2])):
        return _unheard_damage(content)
    return again


def _damage_before_end(content: bytes, picture: Image.Image, heard: str) -> str | None:
    """What is damaged of a picture that lacks its end marker: nothing where that is all it lacks.

    libjpeg puts the marker there itself, and says only that. With it in its place, it says what else is missing.
    """
    ended = content.rstrip(b"\0").removesuffix(b"\xff") + b"\xff\xd9"
    again = _hear(ended, picture, _SCALES[0])
    return heard if isinstance(again, str) else _unheard_damage(ended)


def _unheard_damage(content: bytes) -> str | None:
    """Damage of which libjpeg says nothing."""
    return hole(content) or unfinished_progression(content)


def _is_padding(content: bytes, extraneous: int, marker: str) -> bool:
    """Whether bytes that belong to no block are harmless: few, or all alike, right before the end."""
    if marker != _END_MARKER:
        return False
    end = content.rfind(b"\xff\xd9")
    return extraneous <= _FEW_BYTES or len(set(content[end - extraneous : end])) == 1

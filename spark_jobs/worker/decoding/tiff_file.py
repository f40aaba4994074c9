"""How a TIFF is built (TIFF 6.0, Adobe 1992; BigTIFF): its pages, and those of their tags that are used here."""

import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, cast

import numpy as np

#: Values by the tag's number; those of `_LONG_TAGS` are views of the file's bytes.
Tags = dict[int, Sequence[int]]

NEW_SUBFILE_TYPE, SUBFILE_TYPE = 254, 255
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
ORIENTATION, COLOUR_MAP, SUB_IFDS, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT = 274, 320, 330, 332, 338, 339
ICC_PROFILE, DNG_VERSION = 34_675, 50_706
#: Photometric interpretations: white is zero, black is zero, RGB, inks.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, INKS = 0, 1, 2, 5
_SHORT_TAGS: Final = frozenset(
    {NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, SAMPLES}
    | {ROWS_PER_STRIP, PLANAR, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, ORIENTATION, SUB_IFDS, INK_SET, EXTRA_SAMPLES}
    | {SAMPLE_FORMAT, DNG_VERSION}
)
#: May have a value for each row, or megabytes: kept as views, so that no file makes more of them than it has bytes.
_LONG_TAGS: Final = frozenset({STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES, COLOUR_MAP, ICC_PROFILE})
#: The formats of whole numbers: BYTE, SHORT, LONG, UNDEFINED (TIFF 6.0, 2), IFD (TIFF Technical Note 1), BigTIFF's
#: LONG8 and IFD8.
_NUMBERS: Final = {1: "u1", 3: "u2", 4: "u4", 7: "u1", 13: "u4", 16: "u8", 18: "u8"}
_BYTES: Final = frozenset({1, 7})
_BIG: Final = 43
_MOST_PAGES: Final = 64
_MOST_TAGS: Final = 1000
#: Of a short tag no more values are kept: nobody's pixels have more samples.
_MOST_VALUES: Final = 64


class TiffPage(NamedTuple):
    """The page of a TIFF that is its picture: the byte order (`<` or `>`), the page's number from 0, and its tags."""

    order: str
    number: int
    tags: Tags

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as stored; 0 where it says none."""
        return size_of(self.tags)

    @property
    def orientation(self) -> int:
        """As EXIF's: 1 where there is none."""
        noted = first(self.tags, ORIENTATION, 1)
        return noted if 1 <= noted <= 8 else 1  # noqa: PLR2004 - the eight orientations

    @property
    def profile(self) -> bytes | None:
        """Its ICC profile."""
        return bytes(self.tags.get(ICC_PROFILE, b"")) or None


class TiffFile(NamedTuple):
    """A TIFF's byte order (`<` or `>`), its pages, and the pages within those."""

    order: str
    pages: list[Tags]
    inner: list[Tags]


class _Form(NamedTuple):
    """How a file writes its numbers.

    Attributes:
        order: `<` or `>`.
        tag_count: how many tags a page has, as `struct` has it.
        offset: a place in the file, or how many values a tag has; so many bytes of values stand in the tag itself.
    """

    order: str
    tag_count: str
    offset: str

    @property
    def offset_bytes(self) -> int:
        return struct.calcsize(self.offset)

    @property
    def tag_bytes(self) -> int:
        return 4 + 2 * self.offset_bytes


def first(tags: Tags, tag: int, default: int) -> int:
    """A tag's first value, or what holds where the page does not have it."""
    return int(tags[tag][0]) if tag in tags else default


def size_of(tags: Tags) -> tuple[int, int]:
    """Width and height, as stored; 0 where a page says none."""
    return first(tags, WIDTH, 0), first(tags, HEIGHT, 0)


def read_pages(content: bytes) -> TiffFile:
    """The pages' tags, as far as they can be read; only those whose values are whole numbers."""
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2:4] == struct.pack(order + "H", _BIG)
    form = _Form(order, "Q", "Q") if is_big else _Form(order, "H", "I")
    seen: set[int] = set()
    pages = list(_chain(content, form, _number(content, form, 8 if is_big else 4), seen))
    inner = [tags for page in pages for start in page.get(SUB_IFDS, ()) for tags in _chain(content, form, start, seen)]
    return TiffFile(order, pages, inner)


def _chain(content: bytes, form: _Form, start: int, seen: set[int]) -> Iterator[Tags]:
    while start and start not in seen and len(seen) < _MOST_PAGES:
        seen.add(start)
        tags_at = start + struct.calcsize(form.tag_count)
        if tags_at > len(content):
            return
        count = struct.unpack_from(form.order + form.tag_count, content, start)[0]
        end = tags_at + form.tag_bytes * count
        if count > _MOST_TAGS or end > len(content):
            return
        yield dict(_tags(content, form, tags_at, count))
        start = _number(content, form, end)


def _tags(content: bytes, form: _Form, start: int, count: int) -> Iterator[tuple[int, Sequence[int]]]:
    for at in range(start, start + form.tag_bytes * count, form.tag_bytes):
        tag, kind, values = struct.unpack_from(f"{form.order}HH{form.offset}", content, at)
        is_long = tag in _LONG_TAGS
        # A profile is bytes; a number that is no byte would not be one.
        if not (is_long or tag in _SHORT_TAGS) or kind not in _NUMBERS or (tag == ICC_PROFILE and kind not in _BYTES):
            continue
        number = np.dtype(form.order + _NUMBERS[kind])
        inline = at + form.tag_bytes - form.offset_bytes
        size = values * number.itemsize
        place = inline if size <= form.offset_bytes else _number(content, form, inline)
        if not values or place + size > len(content):
            continue
        if tag == ICC_PROFILE:
            yield tag, memoryview(content)[place : place + size]
        elif is_long:
            yield tag, cast("Sequence[int]", np.frombuffer(content, number, values, place))
        else:
            yield tag, tuple(np.frombuffer(content, number, min(values, _MOST_VALUES), place).tolist())


def _number(content: bytes, form: _Form, at: int) -> int:
    enough = at + form.offset_bytes <= len(content)
    return int(struct.unpack_from(form.order + form.offset, content, at)[0]) if enough else 0

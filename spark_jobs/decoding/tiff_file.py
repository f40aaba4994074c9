"""How a TIFF is built (TIFF 6.0, Adobe 1992): its pages and their tags; and which of them are a camera's RAW."""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from spark_jobs.decoding.undecodable import UndecodableError

Tags = dict[int, tuple[int, ...]]

NEW_SUBFILE_TYPE: Final = 254
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
ORIENTATION, SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, ICC_PROFILE, DNG_VERSION = 274, 330, 338, 339, 34_675, 50_706
#: Photometric interpretations: white is zero, black is zero, RGB; a sensor's colour filters and linear RAW (DNG 1.7).
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
_RAW_PHOTOMETRICS: Final = frozenset({32_803, 34_892})
#: The first bit of NewSubfileType: the page is a smaller version of another.
_REDUCED: Final = 1
#: What Canon's CR2 and Phase One's IIQ have behind the header of a TIFF.
_MARKS: Final = {b"CR": "CR2", b"IIII": "IIQ", b"MMMM": "IIQ"}
#: The formats of whole numbers: BYTE, SHORT, LONG, UNDEFINED (TIFF 6.0, 2), IFD (TIFF Technical Note 1).
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I"}
#: Values of so many bytes stand in the tag itself.
_INLINE_BYTES: Final = 4
_MOST_PAGES: Final = 64
_MOST_TAGS: Final = 1000
_MOST_VALUES: Final = 1_000_000


class TiffPage(NamedTuple):
    """The page of a TIFF that is its picture: the byte order (`<` or `>`), the page's number from 0, and its tags."""

    order: str
    number: int
    tags: Tags

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, as stored; 0 where it says none."""
        return self.tags.get(WIDTH, (0,))[0], self.tags.get(HEIGHT, (0,))[0]

    @property
    def orientation(self) -> int:
        """As EXIF's: 1 where there is none."""
        noted = self.tags.get(ORIENTATION, (1,))[0]
        return noted if 1 <= noted <= 8 else 1  # noqa: PLR2004 - the eight orientations

    @property
    def profile(self) -> bytes | None:
        """Its ICC profile."""
        return bytes(self.tags.get(ICC_PROFILE, ())) or None


class TiffFile(NamedTuple):
    """A TIFF's byte order (`<` or `>`), its pages, and the pages within those."""

    order: str
    pages: list[Tags]
    inner: list[Tags]


def read_pages(content: bytes) -> TiffFile:
    """The pages' tags, as far as they can be read; only those whose values are whole numbers."""
    order = "<" if content[:2] == b"II" else ">"
    seen: set[int] = set()
    pages = list(_chain(content, order, _number(content, order, 4), seen))
    inner = [tags for page in pages for start in page.get(SUB_IFDS, ()) for tags in _chain(content, order, start, seen)]
    return TiffFile(order, pages, inner)


def raw_kind(content: bytes, tiff: TiffFile) -> str | None:
    """What camera's RAW a file in a TIFF's dress is; None for a picture.

    Its first page is a thumbnail, which Pillow would take for the picture, and the picture is a page within it; or the
    pixels are a sensor's, behind its colour filters.
    """
    for mark, kind in _MARKS.items():
        if content[8 : 8 + len(mark)] == mark:
            return kind
    if not tiff.pages:
        return None
    first = tiff.pages[0]
    if DNG_VERSION in first:
        return "DNG"
    if any(tags.get(PHOTOMETRIC, (0,))[0] in _RAW_PHOTOMETRICS for tags in (*tiff.pages, *tiff.inner)):
        return "of a sensor's samples"
    if is_reduced(first) and SUB_IFDS in first and all(is_reduced(page) for page in tiff.pages):
        return "NEF, ARW or the like"
    return None


def whole_page(content: bytes) -> TiffPage | None:
    """The page that is the picture: the first that is not a smaller version of another; None where no page can be read.

    Raises:
        UndecodableError: it is a camera's RAW.
    """
    tiff = read_pages(content)
    if (kind := raw_kind(content, tiff)) is not None:
        raise UndecodableError("unsupported_format", f"RAW of a camera ({kind}): develop it, or add the camera's JPEG")
    if not tiff.pages:
        return None
    number = next((number for number, page in enumerate(tiff.pages) if not is_reduced(page)), 0)
    return TiffPage(tiff.order, number, tiff.pages[number])


def is_reduced(page: Tags) -> bool:
    """Whether a page says that it is a smaller version of another."""
    return bool(page.get(NEW_SUBFILE_TYPE, (0,))[0] & _REDUCED)


def _chain(content: bytes, order: str, start: int, seen: set[int]) -> Iterator[Tags]:
    while start and start not in seen and len(seen) < _MOST_PAGES:
        seen.add(start)
        if start + 2 > len(content):
            return
        count = struct.unpack_from(order + "H", content, start)[0]
        end = start + 2 + 12 * count
        if count > _MOST_TAGS or end > len(content):
            return
        yield dict(_tags(content, order, start + 2, count))
        start = _number(content, order, end)


def _tags(content: bytes, order: str, start: int, count: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    for at in range(start, start + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", content, at)
        letter = _NUMBERS.get(kind)
        if letter is None or not 0 < values <= _MOST_VALUES:
            continue
        size = values * struct.calcsize(letter)
        place = at + 8 if size <= _INLINE_BYTES else _number(content, order, at + 8)
        if place + size <= len(content):
            yield tag, struct.unpack_from(f"{order}{values}{letter}", content, place)


def _number(content: bytes, order: str, at: int) -> int:
    return int(struct.unpack_from(order + "I", content, at)[0]) if at + 4 <= len(content) else 0

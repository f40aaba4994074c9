"""Which page of a TIFF is its picture, and which TIFFs are a camera's RAW."""

from typing import Final

from spark_jobs.worker.decoding import tiff_file
from spark_jobs.worker.decoding.tiff_file import Tags, TiffFile, TiffPage, first, read_pages, size_of
from spark_jobs.worker.decoding.undecodable import UndecodableError

#: Photometric interpretations of a sensor's samples: its colour filters, and linear RAW (DNG 1.7).
_RAW_PHOTOMETRICS: Final = frozenset({32_803, 34_892})
#: Compressions that only cameras' RAWs have, as ExifTool names them: Kodak 262, Sony ARW, Epson ERF, Samsung SRW (two),
#: Kodak KDC, Panasonic, Nikon NEF, DNG's lossy JPEG, Kodak DCR, Pentax PEF.
_RAW_COMPRESSIONS: Final = frozenset(
    {262, 32_767, 32_769, 32_770, 32_772, 32_867, 34_316, 34_713, 34_892, 65_000, 65_535}
)
#: Bits of NewSubfileType: the page is a smaller version of another; it is another's transparency mask.
_REDUCED, _MASK = 1, 4
#: The old SubfileType of a smaller version (TIFF 6.0, 8).
_OLD_REDUCED: Final = 2
#: What Canon's CR2 and Phase One's IIQ have behind the header of a TIFF.
_MARKS: Final = {b"CR": "CR2", b"IIII": "IIQ", b"MMMM": "IIQ"}


def whole_page(content: bytes) -> TiffPage | None:
    """The page that is the picture: the first that does not belong to another; None where no page can be read.

    Raises:
        UndecodableError: it is a camera's RAW.
    """
    tiff = read_pages(content)
    whole = (number for number, page in enumerate(tiff.pages) if not (is_reduced(page) or _is_mask(page)))
    number = next(whole, 0)
    if (kind := raw_kind(content, tiff, number)) is not None:
        raise UndecodableError("unsupported_format", f"RAW of a camera ({kind}): develop it, or add the camera's JPEG")
    return TiffPage(tiff.order, number, tiff.pages[number]) if tiff.pages else None


def raw_kind(content: bytes, tiff: TiffFile, chosen: int) -> str | None:
    """What camera's RAW a file in a TIFF's dress is; None for a picture.

    Its pages are thumbnails, which Pillow would take for the picture, and the picture is a page within one of them; or
    the pixels are a sensor's, behind its colour filters or in a compression of the camera's maker.
    """
    marks = [kind for mark, kind in _MARKS.items() if content[8 : 8 + len(mark)] == mark]
    if marks or not tiff.pages:
        return marks[0] if marks else None
    if tiff_file.DNG_VERSION in tiff.pages[0]:
        return "DNG"
    if any(_is_of_a_sensor(tags) for tags in (*tiff.pages, *tiff.inner)):
        return "of a sensor's samples"
    whole = [tags for tags in tiff.inner if not is_reduced(tags)]
    is_smaller = any(_pixels(tags) > _pixels(tiff.pages[chosen]) for tags in whole)
    is_thumbnail = tiff_file.SUB_IFDS in tiff.pages[0] and all(is_reduced(page) for page in tiff.pages)
    return "NEF, ARW or the like" if is_smaller or is_thumbnail else None


def is_reduced(page: Tags) -> bool:
    """Whether a page says that it is a smaller version of another."""
    if tiff_file.NEW_SUBFILE_TYPE in page:
        return bool(first(page, tiff_file.NEW_SUBFILE_TYPE, 0) & _REDUCED)
    return first(page, tiff_file.SUBFILE_TYPE, 0) == _OLD_REDUCED


def _is_mask(page: Tags) -> bool:
    return bool(first(page, tiff_file.NEW_SUBFILE_TYPE, 0) & _MASK)


def _is_of_a_sensor(page: Tags) -> bool:
    return (
        first(page, tiff_file.PHOTOMETRIC, 0) in _RAW_PHOTOMETRICS
        or first(page, tiff_file.COMPRESSION, 1) in _RAW_COMPRESSIONS
    )


def _pixels(page: Tags) -> int:
    width, height = size_of(page)
    return width * height

"""From the bytes of a file to the pixels the model takes, the picture's size and a thumbnail."""

import io
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import AvifImagePlugin, Image, ImageFile, UnidentifiedImageError
from verger_rules.model import INPUT_SIZE

from spark_jobs.worker.decoding.colour import Conversion, ProfileError, conversion_to_srgb
from spark_jobs.worker.decoding.declared_colour import MAX_PROFILE_BYTES, DeclaredColour, declared_colour
from spark_jobs.worker.decoding.file_signatures import is_cut_off, name_of_format, with_known_brand
from spark_jobs.worker.decoding.jpeg_file import check_coding
from spark_jobs.worker.decoding.jpeg_pixels import read_jpeg
from spark_jobs.worker.decoding.plain_modes import to_plain_mode
from spark_jobs.worker.decoding.png_file import PngHeader, read_header, without_notes
from spark_jobs.worker.decoding.tiff_file import TiffPage
from spark_jobs.worker.decoding.tiff_page_choice import whole_page
from spark_jobs.worker.decoding.tiff_samples import check_compression, is_misread, read_samples
from spark_jobs.worker.decoding.undecodable import UndecodableError

__all__ = ["DecodedImage", "UndecodableError", "decode_image", "prepare_pillow"]

THUMBNAIL_SIZE = 64
THUMBNAIL_QUALITY = 80
# A JPEG several times larger than the model's input is decoded at 1/2, 1/4 or 1/8, never below this size. On 148 real
# photographs the features keep a cosine of 0.9995 or more to those of the full decode, which takes a fifth longer; with
# twice the model's input it is 0.998. A telephone's photograph is decoded at 1/4 with either.
DRAFT_SIZE = (3 * INPUT_SIZE, 3 * INPUT_SIZE)
# Only formats whose readers are plain decoders: Pillow's others call programs (EPS: ghostscript) or are little tried.
# JPEG stands for MPO (several JPEGs in one file) too.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
WHITE = (255, 255, 255)
# The longest side of a picture: JPEG's own bound, whose header has 16 bits for each side (ITU-T T.81, B.2.2). Resizing
# takes memory by the side, not only by the pixels: 3 GB for a PNG of 90,000,000 x 1.
MAX_SIDE = 65_535
ORIENTATION_TAG = 0x0112
AS_STORED = 1
# How a picture of each other EXIF orientation is turned upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED_SIDEWAYS = frozenset({5, 6, 7, 8})
_JPEG: Final = frozenset({"JPEG", "MPO"})
#: As their signatures are named: Pillow has no name of its own for the second.
_TIFF: Final = frozenset({"TIFF", "BigTIFF"})
#: Pillow takes its header for that of a TIFF (measured with Pillow 13).
_BIG_ENDIAN_BIGTIFF: Final = b"MM\0+"
_MOST_DETAIL: Final = 300

Pixels = npt.NDArray[np.uint8]


class DecodedImage(NamedTuple):
    """A picture as the model and the reader of the table need it.

    Attributes:
        pixels: uint8 [224, 224, 3], sRGB.
        width, height: of the picture itself, upright.
        thumbnail: a JPEG of at most 64 px, upright, in the picture's proportions.
        note: what a reader of its features must know: a profile that could not be used, damage inside; else None.
    """

    pixels: Pixels
    width: int
    height: int
    thumbnail: bytes
    note: str | None = None


class _Opened(NamedTuple):
    """A file whose header is read: what Pillow makes of it, and what it says that Pillow does not tell.

    Attributes:
        size: width and height, as stored.
        picture: None for a TIFF that is not Pillow's.
    """

    content: bytes
    size: tuple[int, int]
    picture: Image.Image | None
    colour: DeclaredColour
    png: PngHeader | None
    tiff: TiffPage | None


class _Upright(NamedTuple):
    """A picture's pixels in one of five plain modes, and how they are to be turned."""

    picture: Image.Image
    size: tuple[int, int]
    orientation: int
    damage: str | None = None


def prepare_pillow() -> None:
    """Set Pillow for this process: our own limit of pixels instead of its warnings, no half pictures, one thread."""
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def decode_image(content: bytes, max_pixels: int, *, take_damaged: bool = False) -> DecodedImage:
    """Decode a file, whatever its name said, to upright sRGB of the model's size.

    Resized like Keras' `load_img(target_size=(224, 224), interpolation="bicubic")`: the proportions are not kept.
    `take_damaged`: JPEGs that are damaged inside or cut off count as far as they can be decoded.

    Raises:
        UndecodableError: the file is not a picture that we take.
    """
    if not content:
        raise UndecodableError("empty", "the file has no bytes")
    opened = _open(content)
    _check_size(*opened.size, max_pixels)
    try:
        upright = _decode(opened, take_damaged=take_damaged)
        small, problem = _to_input(upright.picture, opened.colour)
    except UndecodableError:
        raise
    # As broad as in `_open`, and it ends here: what follows handles a small picture of our own making.
    except Exception as error:
        raise _undecodable(content, error) from error
    finally:
        if opened.picture is not None:
            opened.picture.close()
    # Pixels only: Pillow takes along what the file said of itself, and would write its comment, which can name a person
    # or a place, into the thumbnail.
    small.info.clear()
    width, height = upright.size
    if upright.orientation in TURNED_SIDEWAYS:
        width, height = height, width
    # The small square is turned, not the large picture: the same pixels to within a grey level, at no cost.
    if upright.orientation != AS_STORED:
        small = small.transpose(TURNS[upright.orientation])
    return DecodedImage(
        np.asarray(small), width, height, _thumbnail(small, width, height), _note(problem, upright.damage)
    )


def _open(content: bytes) -> _Opened:
    try:
        name = name_of_format(content)
        if name == "JPEG":
            check_coding(content)
        png = read_header(content) if name == "PNG" else None
        tiff = whole_page(content) if name in _TIFF else None
        if tiff is not None and (content.startswith(_BIG_ENDIAN_BIGTIFF) or is_misread(tiff.tags)):
            return _open_plain_tiff(content, tiff)
        return _open_by_pillow(content, name, png, tiff)
    except UndecodableError:
        raise
    # Anybody's bytes: what readers raise of a hostile file is no closed list (struct.error, MemoryError, ...), and each
    # such file must have its row. Raised on, it would end the step, on every retry.
    except Exception as error:
        raise _undecodable(content, error) from error


def _open_by_pillow(content: bytes, name: str | None, png: PngHeader | None, tiff: TiffPage | None) -> _Opened:
    try:
        picture = Image.open(io.BytesIO(_readable(content, name)), formats=FORMATS)
        if tiff is not None and tiff.number:
            picture.seek(tiff.number)
    except UnidentifiedImageError as error:
        if tiff is not None:
            return _open_plain_tiff(content, tiff)
        raise _unidentified(content) from error
    if tiff is not None:
        check_compression(tiff.tags)
    return _Opened(content, picture.size, picture, declared_colour(picture, content, png), png, tiff)


def _readable(content: bytes, name: str | None) -> bytes:
    """A file as Pillow takes it."""
    if name == "PNG":
        return without_notes(content)
    return with_known_brand(content) if name == "AVIF" else content


def _open_plain_tiff(content: bytes, tiff: TiffPage) -> _Opened:
    profile = tiff.profile
    if profile is not None and len(profile) > MAX_PROFILE_BYTES:
        colour = DeclaredColour(None, f"it has {len(profile):,} bytes")
    else:
        colour = DeclaredColour(profile)
    return _Opened(content, tiff.size, None, colour, None, tiff)


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise UndecodableError("too_large", f"{width} x {height} pixels; --max-pixels is {max_pixels}")
    if max(width, height) > MAX_SIDE:
        raise UndecodableError("too_large", f"{width} x {height} pixels; no side may have more than {MAX_SIDE}")


def _decode(opened: _Opened, *, take_damaged: bool) -> _Upright:
    """The whole picture (of several, the first, where Pillow opens it; of a JPEG, small)."""
    picture = opened.picture
    if picture is None:
        if opened.tiff is None:
            raise TypeError("neither Pillow nor we opened it")
        return _Upright(read_samples(opened.content, opened.tiff), opened.size, opened.tiff.orientation)
    if picture.format in _JPEG:
        orientation = _orientation(picture)
        pixels = read_jpeg(picture, opened.content, DRAFT_SIZE, take_damaged=take_damaged)
        return _Upright(pixels.image, opened.size, orientation, pixels.damage)
    # A PNG's EXIF may come after its pixels, so Pillow decodes them to find it: here, where broken ones are noticed.
    # The EXIF of the others is read first: Pillow, decoding a TIFF, reads it too, but does not fail at it twice.
    if picture.format == "PNG":
        picture.load()
    orientation = _orientation(picture)
    picture.load()
    if picture.format == "TIFF":  # Pillow turned it upright itself while it decoded it
        orientation = AS_STORED
    return _Upright(to_plain_mode(picture, opened.png, opened.tiff), picture.size, orientation)


def _orientation(picture: Image.Image) -> int:
    """The picture's EXIF orientation; AS_STORED where there is none, none that exists, or none that can be read."""
    try:
        noted = picture.getexif().get(ORIENTATION_TAG)
        orientation = noted if noted in TURNS else AS_STORED
    # Anybody's bytes too, and no reason to lose a picture that can be seen.
    except Exception:  # noqa: BLE001 - SyntaxError, struct.error, TypeError, ...: no closed list
        orientation = AS_STORED
    return orientation


def _unidentified(content: bytes) -> UndecodableError:
    name = name_of_format(content)
    if name is None:
        return UndecodableError("not_an_image", f"begins with {content[:16]!r}")
    if name not in FORMATS:
        return UndecodableError("unsupported_format", f"{name}; we take {', '.join(FORMATS)}")
    reason = "truncated" if is_cut_off(content, name) else "corrupt"
    return UndecodableError(reason, f"begins like {name}, but its header cannot be read")


def _undecodable(content: bytes, error: Exception) -> UndecodableError:
    name = name_of_format(content) or ""
    truncated = "truncated" in str(error) or is_cut_off(content, name)
    detail = f"{type(error).__name__}: {error}"[:_MOST_DETAIL]
    return UndecodableError("truncated" if truncated else "corrupt", detail)


def _to_input(full: Image.Image, colour: DeclaredColour) -> tuple[Image.Image, str | None]:
    """A picture as an sRGB square of the model's input size, and why its profile could not be used."""
    conversion, problem = _conversion(full, colour)
    if conversion is not None:
        # Before it is resized: after it, the features of photographs were as far as a cosine of 0.994 away.
        full = conversion.apply(full)
    small = _without_ink(full).resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BICUBIC)
    return _on_white(small), problem


def _conversion(full: Image.Image, colour: DeclaredColour) -> tuple[Conversion | None, str | None]:
    if colour.profile is None:
        return None, colour.problem
    try:
        return conversion_to_srgb(colour.profile, full.mode), None
    except ProfileError as error:
        return None, str(error)


def _without_ink(picture: Image.Image) -> Image.Image:
    """CMYK without a profile as RGB, by the plain rule of Pillow and of browsers: nobody knows the press."""
    return picture.convert("RGB") if picture.mode == "CMYK" else picture


def _on_white(small: Image.Image) -> Image.Image:
    """What shows through is white, as in a viewer and as behind catalogue photographs.

    The colours that transparent pixels happen to hold are often black. Pillow resizes with the colours weighted by
    alpha: none bleeds in.
    """
    if small.mode in {"RGB", "L"}:
        return small.convert("RGB")
    clear = small.convert("RGBA")
    ground = Image.new("RGB", small.size, WHITE)
    ground.paste(clear, mask=clear.getchannel("A"))
    return ground


def _note(problem: str | None, damage: str | None) -> str | None:
    notes = [
        problem and f"its colour profile is not used: {problem}",
        damage and f"it is damaged inside: {damage}",
    ]
    return "; ".join(note for note in notes if note)[:_MOST_DETAIL] or None


def _thumbnail(small: Image.Image, width: int, height: int) -> bytes:
    scale = min(THUMBNAIL_SIZE / max(width, height), 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    stored = io.BytesIO()
    # Plain averages: as good as bicubic at a third of the size, and a quarter of a millisecond faster.
    thumbnail = small.resize(size, Image.Resampling.BOX)
    thumbnail.save(stored, "JPEG", quality=THUMBNAIL_QUALITY)
    return stored.getvalue()

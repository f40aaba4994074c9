"""From the bytes of a file to the pixels the model takes, the picture's size and a thumbnail."""

import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from spark_jobs.file_signatures import is_cut_off, name_of_format
from spark_jobs.model_shape import INPUT_SIZE

THUMBNAIL_SIZE = 64
THUMBNAIL_QUALITY = 80
# A JPEG several times larger than the model's input is decoded at 1/2, 1/4 or 1/8, never below this size. On real
# photographs the features keep a cosine of 0.998 or more to those of the full decode, which takes a third longer.
DRAFT_SIZE = (2 * INPUT_SIZE, 2 * INPUT_SIZE)
# Only formats whose readers are plain decoders: Pillow's others call programs (EPS: ghostscript) or are little tried.
# JPEG stands for MPO (several JPEGs in one file) too.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
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

Pixels = npt.NDArray[np.uint8]


class UndecodableError(ValueError):
    """A file is no picture we take; `reason` is a code of docs/formats.md, the message says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class DecodedImage(NamedTuple):
    """A picture as the model and the reader of the table need it.

    Attributes:
        pixels: uint8 [224, 224, 3], RGB.
        width, height: of the picture itself, upright.
        thumbnail: a JPEG of at most 64 px, upright, in the picture's proportions.
    """

    pixels: Pixels
    width: int
    height: int
    thumbnail: bytes


def prepare_pillow() -> None:
    """Set Pillow for this process: our own limit of pixels instead of its warnings, and no half pictures."""
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def decode_image(content: bytes, max_pixels: int) -> DecodedImage:
    """Decode a file, whatever its name said, to upright RGB of the model's size.

    Resized like Keras' `load_img(target_size=(224, 224), interpolation="bicubic")`: the proportions are not kept.

    Raises:
        UndecodableError: the file is no picture that we take.
    """
    if not content:
        raise UndecodableError("empty", "the file has no bytes")
    picture = _open(content)
    width, height = picture.size
    _check_size(width, height, max_pixels)
    try:
        orientation, small = _orientation_and_input(picture)
        if picture.format == "TIFF":
            width, height = picture.size
    except UndecodableError:
        raise
    # As broad as in `_open`, and it ends here: what follows handles a small picture of our own making.
    except Exception as error:
        raise _undecodable(content, error) from error
    finally:
        picture.close()
    # Pixels only: Pillow takes along what the file said of itself, and would write its comment, which can name a person
    # or a place, into the thumbnail.
    small.info.clear()
    if orientation in TURNED_SIDEWAYS:
        width, height = height, width
    # The small square is turned, not the large picture: the same pixels to within a grey level, at no cost.
    if orientation != AS_STORED:
        small = small.transpose(TURNS[orientation])
    return DecodedImage(np.asarray(small), width, height, _thumbnail(small, width, height))


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise _unidentified(content) from error
    # Anybody's bytes: what Pillow's readers raise of a hostile file is no closed list (struct.error, MemoryError, ...),
    # and each such file must have its row. Raised on, it would end the step, on every retry.
    except Exception as error:
        raise _undecodable(content, error) from error


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise UndecodableError("too_large", f"{width} x {height} pixels; --max-pixels is {max_pixels}")
    if max(width, height) > MAX_SIDE:
        raise UndecodableError("too_large", f"{width} x {height} pixels; no side may have more than {MAX_SIDE}")


def _orientation_and_input(picture: Image.Image) -> tuple[int, Image.Image]:
    # A PNG's EXIF may come after its pixels, so Pillow decodes them to find it: here, where broken ones are noticed.
    # The EXIF of the others is read first: Pillow, decoding a TIFF, reads it too, but does not fail at it twice.
    if picture.format == "PNG":
        picture.load()
    orientation = _orientation(picture)
    if picture.format == "TIFF":  # Pillow turns it upright itself while it decodes it
        picture.load()
        orientation = AS_STORED
    return orientation, _to_input(picture)


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
    return UndecodableError("truncated" if truncated else "corrupt", f"{type(error).__name__}: {error}"[:300])


def _to_input(picture: Image.Image) -> Image.Image:
    """The whole picture (of several, the first, where Pillow opens it) as an RGB square of the model's input size."""
    if picture.format in {"JPEG", "MPO"}:
        picture.draft(picture.mode, DRAFT_SIZE)
    full = _to_rgb_or_rgba(picture)
    small = full.resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BICUBIC)
    if small.mode == "RGB":
        return small
    # What shows through is white, as in a viewer and as behind catalogue photographs; the colours that transparent
    # pixels happen to hold are often black. Pillow resizes with the colours weighted by alpha: none bleeds in.
    ground = Image.new("RGB", small.size, WHITE)
    ground.paste(small, mask=small.getchannel("A"))
    return ground


def _to_rgb_or_rgba(picture: Image.Image) -> Image.Image:
    if picture.mode in {"RGB", "RGBA"} and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I;16"):
        picture.load()
        high_bytes = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
        return Image.fromarray(high_bytes).convert("RGB")
    if picture.mode in {"I", "F"}:
        detail = f"grey values of 32 bits (mode {picture.mode}) have no agreed range"
        raise UndecodableError("unsupported_format", detail)
    return picture.convert("RGBA" if picture.has_transparency_data else "RGB")


def _thumbnail(small: Image.Image, width: int, height: int) -> bytes:
    scale = min(THUMBNAIL_SIZE / max(width, height), 1.0)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    stored = io.BytesIO()
    # Plain averages: as good as bicubic at a third of the size, and a quarter of a millisecond faster.
    thumbnail = small.resize(size, Image.Resampling.BOX)
    thumbnail.save(stored, "JPEG", quality=THUMBNAIL_QUALITY)
    return stored.getvalue()

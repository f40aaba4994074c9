"""From the bytes of a file to the pixels the model takes, the picture's size and a thumbnail."""

import io
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

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
ORIENTATION_TAG = 0x0112
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
    if width * height > max_pixels:
        raise UndecodableError("too_large", f"{width} x {height} pixels; --max-pixels is {max_pixels}")
    try:
        orientation = picture.getexif().get(ORIENTATION_TAG, 1)
        small = _to_input(picture)
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError) as error:
        raise _undecodable(content, error) from error
    finally:
        picture.close()
    if orientation in TURNED_SIDEWAYS:
        width, height = height, width
    # The small square is turned, not the large picture: the same pixels to within a grey level, at no cost.
    small.getexif()[ORIENTATION_TAG] = orientation
    small = ImageOps.exif_transpose(small)
    return DecodedImage(np.asarray(small), width, height, _thumbnail(small, width, height))


def _open(content: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise _unidentified(content) from error
    except (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, EOFError, OverflowError) as error:
        raise _undecodable(content, error) from error


def _unidentified(content: bytes) -> UndecodableError:
    name = name_of_format(content)
    if name is None:
        return UndecodableError("not_an_image", f"begins with {content[:16]!r}")
    if name not in FORMATS:
        return UndecodableError("unsupported_format", f"{name}; we take {', '.join(FORMATS)}")
    reason = "truncated" if is_cut_off(content, name) else "corrupt"
    return UndecodableError(reason, f"begins like {name}, but its header cannot be read")


def _undecodable(content: bytes, error: Exception) -> UndecodableError:
    if isinstance(error, UndecodableError):
        return error
    name = name_of_format(content) or ""
    truncated = "truncated" in str(error) or is_cut_off(content, name)
    return UndecodableError("truncated" if truncated else "corrupt", f"{type(error).__name__}: {error}"[:300])


def _to_input(picture: Image.Image) -> Image.Image:
    """The whole picture as an RGB square of the model's input size."""
    if picture.format in {"JPEG", "MPO"}:
        picture.draft(picture.mode, DRAFT_SIZE)
    if getattr(picture, "n_frames", 1) > 1:
        picture.seek(0)
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
    # Pillow writes the comment of the picture it came from, which can name a person or a place: pixels only.
    thumbnail.info.clear()
    thumbnail.save(stored, "JPEG", quality=THUMBNAIL_QUALITY)
    return stored.getvalue()

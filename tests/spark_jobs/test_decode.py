"""From bytes to pixels: what counts as a picture, and what the model then sees."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spark_jobs import decode
from spark_jobs.decode import DecodedImage, UndecodableError, decode_image, prepare_pillow

LIMIT = 10_000_000


@pytest.fixture(autouse=True)
def _pillow() -> None:
    prepare_pillow()


def photo(size: tuple[int, int] = (120, 90)) -> Image.Image:
    """A smooth picture, red growing to the right and green downwards."""
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    return Image.fromarray(np.stack([across, down, np.full_like(across, 60)], axis=2).astype(np.uint8))


def stored(picture: Image.Image, form: str, **options: object) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(picture: Image.Image, form: str, **options: object) -> DecodedImage:
    return decode_image(stored(picture, form, **options), LIMIT)


def reason(content: bytes) -> str:
    with pytest.raises(UndecodableError) as caught:
        decode_image(content, LIMIT)
    return caught.value.reason


def huge_png(side: int) -> bytes:
    """A PNG whose header promises side x side pixels and whose data is not worth decoding."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_the_model_sees_what_keras_load_img_would_show_it() -> None:
    content = stored(photo(), "PNG")
    expected = photo().resize((224, 224), Image.Resampling.BICUBIC)
    got = decode_image(content, LIMIT)
    assert np.array_equal(got.pixels, np.asarray(expected))
    assert (got.width, got.height) == (120, 90)


def test_the_thumbnail_keeps_the_proportions_and_is_at_most_64_px() -> None:
    for size, expected in (((300, 100), (64, 21)), ((10, 40), (10, 40)), ((2000, 4), (64, 1))):
        assert Image.open(io.BytesIO(decoded(photo(size), "PNG").thumbnail)).size == expected


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
def test_a_thumbnail_holds_pixels_alone_whatever_the_file_said_of_people_and_places(form: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = "the garden of Jane Roe", "Jane Roe"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0)})
    notes: dict[str, object] = {"comment": b"Jane Roe"} if form in {"JPEG", "GIF"} else {}
    content = stored(photo(), form, **notes, **({} if form == "GIF" else {"exif": exif}))
    assert b"Jane Roe" in content, "else this test would show nothing"
    thumbnail = decode_image(content, LIMIT).thumbnail
    assert b"Jane" not in thumbnail
    with Image.open(io.BytesIO(thumbnail)) as picture:
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not picture.getexif()


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *(("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG")),
        *(("RGB", "PNG"), ("L", "PNG"), ("1", "PNG"), ("P", "PNG")),
        *(("RGB", "WEBP"), ("P", "GIF"), ("RGB", "BMP"), ("RGB", "TIFF"), ("CMYK", "TIFF"), ("RGBA", "WEBP")),
    ],
)
def test_every_usual_kind_of_file_is_a_picture_whatever_its_name(mode: str, form: str) -> None:
    got = decoded(photo().convert(mode), form).pixels.astype(int)
    assert got.shape == (224, 224, 3)
    expected = np.asarray(photo().convert(mode).convert("RGB").resize((224, 224))).astype(int)
    assert np.abs(got - expected).mean() < (40 if mode in {"1", "P"} else 12)


def test_transparent_pixels_become_white_and_half_transparent_ones_mix() -> None:
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    assert (decoded(clear, "PNG").pixels == 255).all()
    half = Image.new("RGBA", (50, 50), (0, 0, 0, 128))
    assert np.abs(decoded(half, "PNG").pixels.astype(int) - 127).max() <= 1
    assert (decoded(Image.new("LA", (50, 50), (0, 0)), "PNG").pixels == 255).all()


def test_a_transparent_palette_colour_becomes_white() -> None:
    picture = Image.new("P", (30, 30), 1)
    picture.putpalette([0, 0, 0, 200, 0, 0])
    assert (decoded(picture, "PNG", transparency=1).pixels == 255).all()


def test_grey_of_16_bits_keeps_its_brightness() -> None:
    grey = Image.fromarray(np.full((40, 40), 0x8000, np.uint16))
    assert (decoded(grey, "PNG").pixels == 0x80).all()


def test_an_animation_counts_by_its_first_frame() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP"):
        got = decoded(frames[0], form, save_all=True, append_images=frames[1:]).pixels
        assert got[100, 100, 0] > 240
        assert got[100, 100, 2] < 15


def test_several_jpegs_in_one_file_count_by_their_first() -> None:
    first, second = Image.new("RGB", (40, 40), "red"), Image.new("RGB", (40, 40), "blue")
    got = decoded(first, "MPO", save_all=True, append_images=[second]).pixels
    assert got[100, 100, 0] > 240


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation: int) -> None:
    """The eight EXIF orientations: stored turned, seen as if never turned."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    upright = photo((100, 60))
    turned = upright
    if orientation > 1:
        turned = upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = decoded(turned, "PNG", exif=exif)
    assert (got.width, got.height) == (100, 60)
    expected = np.asarray(upright.resize((224, 224), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(got.pixels.astype(int) - expected).max() <= 2


def test_a_progressive_jpeg_is_a_picture() -> None:
    assert decoded(photo(), "JPEG", progressive=True).width == 120


def test_a_large_jpeg_is_decoded_small_and_its_own_size_is_kept() -> None:
    got = decoded(photo((2400, 1800)), "JPEG", quality=95)
    assert (got.width, got.height) == (2400, 1800)
    expected = np.asarray(photo((2400, 1800)).resize((224, 224), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(got.pixels.astype(int) - expected).mean() < 2


def test_what_is_no_picture_is_named() -> None:
    jpeg = stored(photo(), "JPEG")
    png = stored(photo(), "PNG")
    assert reason(b"") == "empty"
    assert reason(b"<html>404</html>") == "not_an_image"
    assert reason(bytes(1000)) == "not_an_image"
    assert reason(jpeg[: len(jpeg) // 2]) == "truncated"
    assert reason(jpeg[:20]) == "truncated"
    assert reason(png[: len(png) // 2]) == "truncated"
    assert reason(stored(photo(), "WEBP")[:200]) == "truncated"
    assert reason(stored(photo(), "EPS")) == "unsupported_format"
    assert reason(b"%PDF-1.7 ...") == "unsupported_format"
    assert reason(b"\0\0\0\x18ftypheic" + bytes(50)) == "unsupported_format"
    assert reason(stored(photo(), "PPM")) == "not_an_image"
    spoilt = bytearray(png)
    spoilt[60:70] = bytes(10)
    assert reason(bytes(spoilt)) in {"corrupt", "truncated"}


def test_a_grey_of_32_bits_has_no_agreed_range() -> None:
    floats = Image.fromarray(np.full((9, 9), 0.5, np.float32))
    assert reason(stored(floats, "TIFF")) == "unsupported_format"


def test_a_bomb_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(decode, "_to_input", never)
    assert reason(huge_png(30_000)) == "too_large"


def test_the_limit_of_pixels_is_inclusive() -> None:
    assert decode_image(stored(photo((100, 100)), "PNG"), 10_000).width == 100
    with pytest.raises(UndecodableError, match="100 x 100 pixels; --max-pixels is 9999"):
        decode_image(stored(photo((100, 100)), "PNG"), 9_999)


@pytest.mark.shared
def test_all_photographs_are_pictures_png_under_a_jpg_name_too(shared: Path) -> None:
    for path in sorted((shared / "photos").rglob("*.jpg")):
        assert decode_image(path.read_bytes(), 100_000_000).pixels.std() > 0, path

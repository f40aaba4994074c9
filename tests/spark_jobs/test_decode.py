"""From bytes to pixels: what counts as a picture, and what the model then sees."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, TiffImagePlugin

from spark_jobs.worker import decode
from spark_jobs.worker.decode import DecodedImage, UndecodableError, decode_image, prepare_pillow
from tests.spark_jobs.picture_files import chunk, png

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


def promising_png(width: int, height: int) -> bytes:
    """A grey PNG whose header promises so many pixels and whose data is not worth decoding."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def two_pages_the_second_broken() -> bytes:
    """A red TIFF whose second page's directory has no entry, not even the page's size."""
    page = Image.new("RGB", (40, 40), "red")
    content = bytearray(stored(page, "TIFF", save_all=True, append_images=[Image.new("RGB", (40, 40), "blue")]))
    first = int.from_bytes(content[4:8], "little")
    entries = int.from_bytes(content[first : first + 2], "little")
    to_second = first + 2 + 12 * entries
    second = int.from_bytes(content[to_second : to_second + 4], "little")
    content[second : second + 2] = bytes(2)
    return bytes(content)


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


def test_a_page_that_is_not_used_may_be_broken() -> None:
    content = two_pages_the_second_broken()
    with Image.open(io.BytesIO(content)) as picture, pytest.raises(TypeError, match="Missing dimensions"):
        picture.seek(1)
    got = decode_image(content, LIMIT).pixels
    assert (got == (255, 0, 0)).all()


def test_several_jpegs_in_one_file_count_by_their_first() -> None:
    first, second = Image.new("RGB", (40, 40), "red"), Image.new("RGB", (40, 40), "blue")
    got = decoded(first, "MPO", save_all=True, append_images=[second]).pixels
    assert got[100, 100, 0] > 240


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation: int, form: str) -> None:
    """The eight EXIF orientations: stored turned, seen as if never turned."""
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    upright = photo((100, 60))
    turned = upright
    if orientation > 1:
        turned = upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = decoded(turned, form, exif=exif)
    assert (got.width, got.height) == (100, 60)
    expected = np.asarray(upright.resize((224, 224), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(got.pixels.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("damage", [b"II*\0", b"garbage", b"garbage that is longer", b"MM\0*\0\0\0\x08\xff\xff", b""])
@pytest.mark.parametrize(
    ("form", "options"),
    [("JPEG", {}), ("JPEG", {"dpi": (72, 72)}), ("PNG", {}), ("WEBP", {})],
    ids=["JPEG without density", "JPEG", "PNG", "WEBP"],
)
@pytest.mark.filterwarnings("ignore:.*EXIF|Corrupt")
def test_a_picture_whose_exif_cannot_be_read_counts_as_it_lies(
    form: str, options: dict[str, object], damage: bytes
) -> None:
    expected = decoded(photo(), form, **options)
    got = decoded(photo(), form, exif=b"Exif\0\0" + damage, **options)
    assert np.array_equal(got.pixels, expected.pixels)
    assert got[1:] == expected[1:]


def test_a_tiff_whose_xmp_cannot_be_read_counts_as_it_lies() -> None:
    """Pillow looks for an orientation in the XMP, which it takes for bytes, and reads it again while it decodes."""
    notes = TiffImagePlugin.ImageFileDirectory_v2()
    notes[700] = "text, not bytes"
    notes.tagtype[700] = 2
    content = stored(photo(), "TIFF", tiffinfo=notes)
    with Image.open(io.BytesIO(content)) as picture, pytest.raises(TypeError):
        picture.getexif()
    assert np.array_equal(decode_image(content, LIMIT).pixels, decoded(photo(), "TIFF").pixels)


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    got = decoded(photo(), "JPEG", exif=exif)
    assert np.array_equal(got.pixels, decoded(photo(), "JPEG").pixels)
    assert (got.width, got.height) == (120, 90)


def test_a_png_cut_off_is_no_picture_although_its_exif_is_looked_for_behind_its_pixels() -> None:
    content = stored(Image.effect_noise((300, 300), 60), "PNG")
    assert reason(content[: len(content) * 9 // 10]) == "truncated"


def noted(*chunks: bytes, after: bytes = b"") -> bytes:
    """A PNG with chunks before and behind its pixels."""
    content = png(np.tile(np.arange(0, 250, 10), (25, 1)), 8, 0, *chunks)
    return content[:-12] + after + content[-12:]


@pytest.mark.parametrize(
    "note",
    [
        chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
        chunk(b"tEXt", b"Comment\0" + b"x" * 70_000_000),
        chunk(b"tEXt", b"Comment\0hello")[:-1] + b"!",
        chunk(b"tRNS", b"\0\x0a")[:-1] + b"!",
        chunk(b"gAMA", b"\0")[:-1] + b"!",
        chunk(b"nEwK", b"\0\1\2"),
    ],
    ids=["zTXt", "iTXt", "tEXt", "checksum of a text", "checksum of tRNS", "checksum of gAMA", "a new kind"],
)
def test_a_png_is_a_picture_whatever_its_notes_are(note: bytes) -> None:
    plain = decode_image(noted(), LIMIT).pixels
    assert np.array_equal(decode_image(noted(note), LIMIT).pixels, plain)
    assert np.array_equal(decode_image(noted(after=note), LIMIT).pixels, plain)


def test_a_png_of_endless_chunks_is_refused() -> None:
    with pytest.raises(UndecodableError, match="chunks"):
        decode_image(noted(chunk(b"teXt", b"") * 100_001), LIMIT)


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
    assert reason(promising_png(30_000, 30_000)) == "too_large"


@pytest.mark.parametrize("size", [(90_000_000, 1), (1, 90_000_000), (65_536, 1)])
def test_a_thread_of_pixels_is_refused_by_its_header(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    """Resizing takes memory in proportion to a side: 3 GB for 90,000,000 pixels in a row."""

    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(decode, "_to_input", never)
    with pytest.raises(
        UndecodableError, match=f"{size[0]} x {size[1]} pixels; no side may have more than 65535"
    ) as one:
        decode_image(promising_png(*size), 100_000_000)
    assert one.value.reason == "too_large"


def test_the_limit_of_a_side_is_inclusive() -> None:
    assert decoded(Image.new("L", (65_535, 1)), "PNG").width == 65_535


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("of libfoo"), ZeroDivisionError("of a header")])
@pytest.mark.parametrize("step", ["load", "resize", "open"])
def test_whatever_pillow_raises_of_a_picture_becomes_its_reject(
    monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    content = stored(photo(), "PNG")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Image if step == "open" else ImageFile.ImageFile, step, fail)
    with pytest.raises(UndecodableError) as caught:
        decode_image(content, LIMIT)
    assert (caught.value.reason, str(caught.value)) == ("corrupt", f"{type(error).__name__}: {error}")
    assert caught.value.__cause__ is error


def test_an_error_of_our_own_after_decoding_is_no_reject(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(decode, "_thumbnail", fail)
    with pytest.raises(ZeroDivisionError, match="ours"):
        decoded(photo(), "PNG")


def test_the_limit_of_pixels_is_inclusive() -> None:
    assert decode_image(stored(photo((100, 100)), "PNG"), 10_000).width == 100
    with pytest.raises(UndecodableError, match="100 x 100 pixels; --max-pixels is 9999"):
        decode_image(stored(photo((100, 100)), "PNG"), 9_999)


@pytest.mark.shared
def test_all_photographs_are_pictures_png_under_a_jpg_name_too(shared: Path) -> None:
    for path in sorted((shared / "photos").rglob("*.jpg")):
        assert decode_image(path.read_bytes(), 100_000_000).pixels.std() > 0, path

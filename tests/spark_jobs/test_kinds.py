"""Which files are pictures that we take, and how the others are named."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from spark_jobs.worker.decode import UndecodableError, decode_image, prepare_pillow
from tests.spark_jobs.picture_files import ramp, tiff

LIMIT = 100_000_000
NEW_SUBFILE_TYPE, SUB_IFDS, DNG_VERSION, PHOTOMETRIC = 254, 330, 50_706, 262


@pytest.fixture(autouse=True)
def _pillow() -> None:
    prepare_pillow()


def refused(content: bytes) -> tuple[str, str]:
    with pytest.raises(UndecodableError) as caught:
        decode_image(content, LIMIT)
    return caught.value.reason, str(caught.value)


def iso_media(major: bytes, *compatible: bytes) -> bytes:
    """The begin of an ISO media file of these brands."""
    box = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(box)) + b"ftyp" + box + bytes(400)


@pytest.mark.parametrize("brand", ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"])
def test_every_brand_of_heic_is_named(brand: str) -> None:
    for content in (
        iso_media(brand.encode()),
        iso_media(b"mif1", b"mif1", brand.encode()),
        iso_media(b"msf1", brand.encode()),
    ):
        reason, said = refused(content)
        assert reason == "unsupported_format"
        assert said.startswith("HEIC; ")


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (iso_media(b"mif1", b"miaf"), "HEIF"),
        (iso_media(b"crx ", b"isom"), "CR3"),
        (iso_media(b"vvic"), "HEIF"),
        (iso_media(b"MiHB", b"3gp5"), "HEIF"),
        (iso_media(b"MA1B"), "AVIF"),
        (struct.pack(">I4s", 12, b"free") + bytes(4) + iso_media(b"heic"), "HEIC"),
        (struct.pack(">I4sQ", 1, b"ftyp", 32) + b"mif1" + bytes(4) + b"mif1heic" + bytes(400), "HEIC"),
        (iso_media(b"dash"), "video"),
        (iso_media(b"zzzz"), "video"),
        (iso_media(b"qt  "), "video"),
        (iso_media(b"isom", b"mp42"), "video"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(100), "RAF"),
        (b"IIRO\x08\0\0\0" + bytes(100), "ORF"),
        (b"IIU\0\x08\0\0\0" + bytes(100), "RW2"),
        (b"\xff\x0a" + bytes(50), "JPEG XL"),
    ],
)
def test_other_kinds_are_named(content: bytes, name: str) -> None:
    reason, said = refused(content)
    assert reason == ("corrupt" if name == "AVIF" else "unsupported_format")
    assert name in said


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_camera_s_raw_in_the_dress_of_a_tiff_is_not_its_thumbnail(order: str) -> None:
    thumbnail = np.stack([ramp(8)] * 3, axis=-1)
    # NEF, ARW: a reduced page first, and the picture in a page within it.
    nef = tiff(thumbnail, 8, 2, order, more=[(NEW_SUBFILE_TYPE, 4, [1]), (SUB_IFDS, 4, [8])])
    dng = tiff(thumbnail, 8, 2, order, more=[(DNG_VERSION, 1, [1, 4, 0, 0])])
    filters = tiff(ramp(16), 16, 32_803, order)
    cr2 = tiff(thumbnail, 8, 2, order)
    cr2 = cr2[:4] + struct.pack(order + "I", 16) + b"CR\x02\0" + bytes(4) + cr2[8:]
    for content, kind in ((nef, "NEF"), (dng, "DNG"), (filters, "sensor"), (cr2, "CR2")):
        reason, said = refused(content)
        assert (reason, kind in said) == ("unsupported_format", True), said


def test_a_scan_whose_first_page_is_a_small_version_counts_by_the_whole_one() -> None:
    small, whole = Image.new("RGB", (20, 20), "blue"), Image.new("RGB", (90, 60), "red")
    stored = io.BytesIO()
    small.save(stored, "TIFF", save_all=True, append_images=[whole], tiffinfo={NEW_SUBFILE_TYPE: 1})
    content = bytearray(stored.getvalue())
    # Pillow writes the tag on both pages: the second is made a whole one.
    second = struct.unpack_from("<I", content, _end_of_first_page(content))[0]
    for at in range(second + 2, second + 2 + 12 * struct.unpack_from("<H", content, second)[0], 12):
        if struct.unpack_from("<H", content, at)[0] == NEW_SUBFILE_TYPE:
            content[at + 8 : at + 12] = bytes(4)
    got = decode_image(bytes(content), LIMIT)
    assert (got.width, got.height) == (90, 60)
    assert (got.pixels == (255, 0, 0)).all()


def _end_of_first_page(content: bytearray) -> int:
    first = struct.unpack_from("<I", content, 4)[0]
    return int(first + 2 + 12 * struct.unpack_from("<H", content, first)[0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_a_picture_and_stands_upright(orientation: int) -> None:
    picture = Image.new("RGB", (80, 40), "red")
    picture.paste("blue", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = io.BytesIO()
    picture.save(stored, "AVIF", quality=95, exif=exif)
    got = decode_image(stored.getvalue(), LIMIT)
    assert (got.width, got.height) == ((40, 80) if orientation in {5, 6, 7, 8} else (80, 40))
    blue = got.pixels[..., 2] > 128
    assert 0.4 < blue.mean() < 0.6
    cut = stored.getvalue()[: len(stored.getvalue()) * 2 // 3]
    assert refused(cut)[0] in {"truncated", "corrupt"}


@pytest.mark.parametrize("brand", [b"MA1B", b"MA1A", b"miaf", b"mif1", b"avio"])
def test_an_avif_is_known_by_any_of_its_brands(brand: bytes) -> None:
    stored = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(stored, "AVIF", quality=90)
    content = stored.getvalue()
    assert content[8:12] == b"avif"
    assert b"avif" in content[16:32]
    assert decode_image(content[:8] + brand + content[12:], LIMIT).pixels[100, 100, 0] > 200

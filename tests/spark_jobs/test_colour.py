"""What a file says of its colours is heard: the model sees sRGB, as a browser shows it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from spark_jobs.worker.decode import DecodedImage, decode_image, prepare_pillow
from spark_jobs.worker.decoding.icc_profile import PRIMARIES, Primaries, power, rgb_profile, srgb
from tests.spark_jobs.picture_files import chunk, png

LIMIT = 100_000_000
P3 = rgb_profile(PRIMARIES[12], srgb)
ADOBE = rgb_profile(Primaries((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), (0.3127, 0.3290)), power(2.19921875))
PROPHOTO = rgb_profile(Primaries((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585)), power(1.8))
LINEAR = rgb_profile(PRIMARIES[1], power(1.0))
PROFILES = {"Display P3": P3, "Adobe RGB": ADOBE, "ProPhoto": PROPHOTO, "linear": LINEAR}


@pytest.fixture(autouse=True)
def _pillow() -> None:
    prepare_pillow()


def scene() -> Image.Image:
    """Soft colours that every one of the spaces can hold."""
    across, down = np.meshgrid(np.linspace(60, 200, 320), np.linspace(60, 200, 240))
    waves = 130 + 50 * np.sin(across / 9) * np.cos(down / 7)
    return Image.fromarray(np.stack([across, down, waves], axis=-1).round().astype(np.uint8))


def in_space(profile: bytes) -> Image.Image:
    """The scene as a camera of this space stores it."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    stored = ImageCms.profileToProfile(scene(), ImageCms.createProfile("sRGB"), target, outputMode="RGB")
    assert stored is not None
    stored.info.clear()
    return stored


def stored(picture: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(content: bytes) -> DecodedImage:
    return decode_image(content, LIMIT)


def far(one: DecodedImage, other: DecodedImage) -> float:
    return float(np.abs(one.pixels.astype(int) - other.pixels.astype(int)).mean())


OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 98, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}, "TIFF": {},
    "AVIF": {"quality": 97},
}  # fmt: skip


@pytest.mark.parametrize("form", OPTIONS)
@pytest.mark.parametrize("name", PROFILES)
def test_a_picture_of_another_space_is_seen_as_its_srgb_twin(name: str, form: str) -> None:
    twin = decoded(stored(scene(), "PNG"))
    content = stored(in_space(PROFILES[name]), form, icc_profile=PROFILES[name], **OPTIONS[form])
    assert far(decoded(content), twin) < 3
    assert decoded(content).note is None
    unheard = decoded(stored(in_space(PROFILES[name]), form, **OPTIONS[form]))
    assert far(unheard, twin) > 1.5, "else this test would show nothing"


def test_transparency_is_no_colour() -> None:
    picture = in_space(P3)
    picture.putalpha(128)
    clear = scene()
    clear.putalpha(128)
    assert far(decoded(stored(picture, "PNG", icc_profile=P3)), decoded(stored(clear, "PNG"))) < 2


def test_a_palette_s_colours_are_converted_too() -> None:
    picture = in_space(P3).quantize(200)
    expected = decoded(stored(picture.convert("RGB"), "PNG", icc_profile=P3))
    assert far(decoded(stored(picture, "PNG", icc_profile=P3)), expected) < 1


def png_of(picture: Image.Image, *before: bytes) -> bytes:
    return png(np.asarray(picture, np.int64), 8, 2, *before)


def cicp(primaries: int, transfer: int) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


def chromaticities(space: Primaries) -> bytes:
    points = (space.white, space.red, space.green, space.blue)
    return chunk(b"cHRM", b"".join(struct.pack(">2I", round(x * 1e5), round(y * 1e5)) for x, y in points))


def iccp(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"a profile\0\0" + zlib.compress(profile))


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 1e5)))


def test_a_png_s_numbers_of_its_colours_count() -> None:
    twin = decoded(png_of(scene()))
    assert far(decoded(png_of(in_space(P3), cicp(12, 13))), twin) < 1.5
    assert far(decoded(png_of(in_space(LINEAR), gamma(1.0))), twin) < 3
    wide = rgb_profile(PRIMARIES[9], power(2.2))
    assert far(decoded(png_of(in_space(wide), gamma(1 / 2.2), chromaticities(PRIMARIES[9]))), twin) < 1.5


def test_of_several_the_png_standard_says_which_counts() -> None:
    p3 = decoded(png_of(in_space(P3), cicp(12, 13)))
    assert far(decoded(png_of(in_space(P3), cicp(12, 13), iccp(LINEAR), gamma(1.0))), p3) == 0
    assert far(decoded(png_of(in_space(P3), iccp(P3), gamma(1.0))), p3) < 1
    plain = decoded(png_of(scene()))
    assert far(decoded(png_of(scene(), chunk(b"sRGB", b"\0"), gamma(1.0))), plain) == 0


@pytest.mark.parametrize("transfer", [16, 18])
def test_a_picture_of_high_dynamic_range_is_a_picture(transfer: int) -> None:
    got = decoded(png_of(scene(), cicp(9, transfer)))
    assert got.note is None
    assert 20 < got.pixels.mean() < 250


def test_a_bmp_may_hold_a_profile() -> None:
    picture = in_space(P3)
    rows = np.pad(np.asarray(picture)[::-1, :, ::-1], ((0, 0), (0, (-picture.width * 3) % 4), (0, 0))).tobytes()
    header = struct.pack(
        "<IiiHHIIiiII4I4s36x12xIIII", 124, picture.width, picture.height, 1, 24, 0, len(rows), 0, 0, 0, 0, 0, 0, 0, 0,
        b"DEBM", 4, 124 + len(rows), len(P3), 0,
    )  # fmt: skip
    assert len(header) == 124
    content = struct.pack("<2sIII", b"BM", 14 + len(header) + len(rows) + len(P3), 0, 138) + header + rows + P3
    assert far(decoded(content), decoded(stored(scene(), "BMP"))) < 1.5


BROKEN = {
    "nothing of a profile": b"no profile at all",
    "cut off": P3[:300],
    "zeros": bytes(4000),
    "of another kind of picture": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
}


@pytest.mark.parametrize("form", OPTIONS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_profile_is_ignored_and_the_row_says_so(name: str, form: str) -> None:
    if form == "AVIF" and name == "nothing of a profile":
        return  # libavif does not write it
    plain = decoded(stored(scene(), form, **OPTIONS[form]))
    got = decoded(stored(scene(), form, icc_profile=BROKEN[name], **OPTIONS[form]))
    assert far(got, plain) < 1
    assert got.note is not None
    assert got.note.startswith("its colour profile is not used: ")


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"iCCP", b"name\0\0not zlib"),
        chunk(b"iCCP", b""),
        iccp(bytes(40_000_000)),
        gamma(0),
        chunk(b"gAMA", b"\0"),
        chunk(b"cICP", b"\x01"),
        cicp(200, 13),
        gamma(0.45) + chunk(b"cHRM", bytes(32)),
        gamma(0.45) + chunk(b"cHRM", struct.pack(">8I", *[33_333] * 8)),
        gamma(0.45) + chunk(b"cHRM", bytes(7)),
    ],
)
def test_nonsense_about_the_colours_of_a_png_costs_nobody_the_picture(broken: bytes) -> None:
    got = decoded(png_of(scene(), broken))
    assert far(got, decoded(png_of(scene()))) == 0
    assert got.note is not None
    assert "colour profile is not used" in got.note


def test_grey_pictures_may_have_a_profile_of_either_kind() -> None:
    grey = scene().convert("L")
    got = decoded(stored(grey, "PNG", icc_profile=LINEAR))
    expected = srgb_of_linear(np.asarray(decoded(stored(grey, "PNG")).pixels, float) / 255)
    assert np.abs(got.pixels - expected * 255).mean() < 3
    assert got.note is None


def srgb_of_linear(light: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055))


def test_a_profile_of_srgb_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert far(decoded(stored(scene(), "PNG", icc_profile=profile)), decoded(stored(scene(), "PNG"))) == 0

"""Turns pictures into sRGB as a browser does, by LittleCMS, which Pillow has."""

import functools
import io
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, ImageCms

#: The colour spaces of profiles (ICC.1:2010, table 19), as LittleCMS names them, and the pictures they are for.
_MODES: Final = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
#: Beyond this no level of a colour is moved: the profile is sRGB under another name.
_SAME_LEVELS: Final = 2
#: So many profiles and their tables a worker keeps, and none above some bytes: pictures of one camera have one; those
#: of a press have 0.5 to 3 MB.
_KEPT: Final = 16
_MOST_BYTES_KEPT: Final = 4_000_000
_CUBE_STEPS: Final = 9


class ProfileError(ValueError):
    """A profile cannot be used; the message says why."""


class Conversion(NamedTuple):
    """How pictures of a profile become sRGB.

    Attributes:
        mode: of the pictures it takes.
        transform: LittleCMS's; None where the pictures are sRGB already.
    """

    mode: str
    transform: ImageCms.ImageCmsTransform | None

    def apply(self, picture: Image.Image) -> Image.Image:
        """The picture in sRGB: RGB, or RGBA where it is transparent."""
        if self.transform is None:
            return picture
        if "A" not in picture.getbands():
            return _converted(picture.convert(self.mode) if picture.mode != self.mode else picture, self.transform)
        # Beside the alpha, which no profile is about.
        colours = picture.convert("RGB") if self.mode == "RGB" else picture.convert("LA").getchannel("L")
        seen = _converted(colours, self.transform)
        seen.putalpha(picture.getchannel("A"))
        return seen


def conversion_to_srgb(profile: bytes, mode: str) -> Conversion:
    """How pictures of this mode (L, LA, RGB, RGBA, CMYK) with this ICC profile become sRGB; kept for the next.

    Raises:
        ProfileError: it is broken, or is for another kind of picture.
    """
    kept = len(profile) <= _MOST_BYTES_KEPT
    space = _profile_space(profile) if kept else _profile_space.__wrapped__(profile)
    grey = mode in {"L", "LA"}
    # A grey picture with a profile of RGB is an RGB one whose channels are equal; nothing else fits into another.
    fits = space == "CMYK" if mode == "CMYK" else space == "RGB" or (grey and space == "GRAY")
    if not fits:
        raise ProfileError(f"it is for {space} pictures, and this one is {mode}")
    return _conversion(profile, space) if kept else _conversion.__wrapped__(profile, space)


@functools.lru_cache(maxsize=_KEPT)
def _profile_space(profile: bytes) -> str:
    return str(_opened(profile).profile.xcolor_space).strip()


@functools.lru_cache(maxsize=_KEPT)
def _conversion(profile: bytes, space: str) -> Conversion:
    mode = _MODES[space]
    try:
        transform = ImageCms.buildTransform(
            _opened(profile), ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL
        )
    except ImageCms.PyCMSError as error:
        raise ProfileError(str(error)) from error
    is_srgb = mode != "CMYK" and _levels_moved(transform, _cube(mode)) <= _SAME_LEVELS
    return Conversion(mode, None if is_srgb else transform)


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    # Anybody's bytes: OSError of LittleCMS, and what Pillow makes of odd tags.
    except Exception as error:
        raise ProfileError(str(error) or type(error).__name__) from error


def _converted(picture: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    seen = ImageCms.applyTransform(picture, transform)
    if seen is None:
        raise ProfileError("LittleCMS converted nothing")
    return seen


def _levels_moved(transform: ImageCms.ImageCmsTransform, picture: Image.Image) -> int:
    before = np.asarray(picture.convert("RGB"), np.int16)
    return int(np.abs(np.asarray(_converted(picture, transform), np.int16) - before).max())


def _cube(mode: str) -> Image.Image:
    """Colours from all over the space, in a row."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None, :])
    steps = np.linspace(0, 255, _CUBE_STEPS).astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    return Image.fromarray(colours)

"""The fruit that can be drawn: names as real data sets have them, and what each looks like."""

from __future__ import annotations

import colorsys
import dataclasses
import re
import zlib
from typing import Literal

Colour = tuple[float, float, float]
Bump = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of fruit.

    `skin` and `blush` are RGB in 0..1, `blush` covering the share `blushed` of the skin. The outline is a circle
    squeezed to `aspect` (width / height), raised by `top` and `bottom` (height, angular width) and leaning by `skew`.
    `count` fruits of the radius `radius` (the picture's half width is 1) stand together.
    """

    skin: Colour
    blush: Colour
    blushed: float = 0.3
    shape: Literal["round", "banana", "bunch", "cut"] = "round"
    aspect: float = 1.0
    top: Bump = (0.0, 0.3)
    bottom: Bump = (0.0, 0.3)
    skew: float = 0.0
    texture: Literal["smooth", "streaks", "pores", "freckles", "stripes", "seeds", "fuzz", "segments", "kiwi"] = (
        "smooth"
    )
    gloss: float = 0.5
    crown: Literal["none", "stem", "leaf", "calyx", "star"] = "none"
    radius: float = 0.66
    count: int = 1


def _rgb(code: str) -> Colour:
    return (int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255)


_APPLE: dict[str, object] = {"top": (-0.14, 0.34), "bottom": (-0.07, 0.3), "aspect": 1.06, "crown": "stem"}
_PEAR: dict[str, object] = {"top": (0.5, 0.42), "bottom": (-0.05, 0.4), "radius": 0.56, "crown": "stem"}


def _kind(skin: str, blush: str, **changes: object) -> Kind:
    return dataclasses.replace(Kind(_rgb(skin), _rgb(blush)), **changes)  # type: ignore[arg-type]  # checked by the tests, which draw every kind


# The order is the order in which `labels` hands them out: the first eight already hold what breaks naive code (a
# space, an accent, a plus, a percent sign, a hash, an equals sign).
CATALOGUE: dict[str, Kind] = {
    "Apple Braeburn": _kind("d8a93c", "a81f24", blushed=0.7, texture="streaks", **_APPLE),
    "Banana": _kind("f2cf3b", "b8a02a", blushed=0.15, shape="banana", gloss=0.25, radius=0.72),
    "Pêche Plate": _kind(
        "f0b25e",
        "c8373a",
        blushed=0.5,
        aspect=1.36,
        top=(-0.16, 0.5),
        texture="fuzz",
        gloss=0.08,
        radius=0.56,
    ),
    "100% Orange": _kind("f58a1c", "fbb04a", shape="cut", texture="segments", gloss=0.15),
    "Kaki+": _kind("ee6a1f", "d9480f", aspect=1.16, top=(-0.1, 0.5), gloss=0.6, crown="calyx"),
    "Grape Blue #2": _kind("3d2f66", "22183f", shape="bunch", gloss=0.45, radius=0.23, count=19),
    "Pear Williams": _kind("c9c648", "d3a23a", texture="freckles", gloss=0.3, **_PEAR),
    "Cherry=Rainier": _kind(
        "f3c05a", "d2303a", blushed=0.6, shape="bunch", gloss=0.8, radius=0.36, count=2, crown="stem"
    ),
    "Apple Granny Smith": _kind("8fbf3a", "b7cf5c", texture="freckles", gloss=0.65, **_APPLE),
    "Lemon": _kind(
        "f6dc3c",
        "e3c02a",
        aspect=0.86,
        top=(0.3, 0.28),
        bottom=(0.2, 0.3),
        texture="pores",
        gloss=0.4,
        radius=0.56,
    ),
    "Strawberry": _kind(
        "d81e2c",
        "f04a3c",
        aspect=0.88,
        top=(-0.12, 0.6),
        bottom=(0.32, 0.55),
        texture="seeds",
        gloss=0.55,
        crown="calyx",
        radius=0.6,
    ),
    "Kiwi (half)": _kind("7fae2e", "e9edc4", shape="cut", aspect=1.08, texture="kiwi", gloss=0.2),
    "Plum": _kind("4b1f4f", "7a2c54", aspect=0.9, top=(-0.06, 0.25), texture="fuzz", gloss=0.25),
    "Watermelon": _kind("3f7d33", "183f1c", aspect=1.12, texture="stripes", gloss=0.35, radius=0.74),
    "Orange": _kind("f28a1e", "e5740f", texture="pores", gloss=0.4, crown="star", radius=0.64),
    "Tomato": _kind("d92a1c", "e8542a", aspect=1.14, top=(-0.1, 0.4), gloss=0.85, crown="calyx"),
    "Mango": _kind("e9a23a", "c43a2c", blushed=0.45, aspect=0.78, skew=0.22, gloss=0.35, radius=0.7),
    "Blueberry": _kind(
        "44598f", "2b3a66", shape="bunch", texture="fuzz", gloss=0.12, radius=0.33, count=5, crown="star"
    ),
    "Avocado": _kind("38512a", "22331b", texture="pores", gloss=0.3, **{**_PEAR, "top": (0.36, 0.6)}),
    "Pomme d'Api": _kind("ecd27a", "d5333f", blushed=0.5, gloss=0.7, **{**_APPLE, "radius": 0.5}),
    "Grape White": _kind("b9c95a", "9aae3f", shape="bunch", gloss=0.5, radius=0.22, count=21),
    "Limes & Citrons": _kind(
        "5f9e2f",
        "7fb83f",
        aspect=0.9,
        top=(0.16, 0.25),
        bottom=(0.1, 0.3),
        texture="pores",
        gloss=0.45,
        crown="leaf",
        radius=0.58,
    ),
    "梨 Nashi": _kind("d0a24e", "b98a3c", aspect=1.04, top=(-0.1, 0.3), texture="freckles", gloss=0.2, crown="stem"),
    "Raspberry": _kind("c8284a", "e0506a", shape="bunch", texture="fuzz", gloss=0.3, radius=0.15, count=26),
    "Apricot": _kind(
        "f2a144",
        "e0662e",
        blushed=0.35,
        aspect=0.96,
        top=(-0.08, 0.2),
        texture="fuzz",
        gloss=0.1,
        radius=0.58,
    ),
    "Banana Lady Finger": _kind("f4d95a", "6d5a22", blushed=0.1, shape="banana", gloss=0.2, radius=0.5, count=2),
    "Coconut": _kind("6a4a30", "4a3220", texture="streaks", gloss=0.05, radius=0.68),
    "Pear Red": _kind("9c2a2a", "c2603a", blushed=0.4, texture="freckles", gloss=0.4, **_PEAR),
}
_NUMBERED = re.compile(r"(?P<name>.+) v(?P<number>[1-9][0-9]*)")


def labels(count: int) -> list[str]:
    """The first `count` labels; past the catalogue's end they are varieties of it ("Banana v2").

    Raises:
        ValueError: `count` is not positive.
    """
    if count < 1:
        raise ValueError(f"{count} labels cannot be drawn: ask for at least 1")
    names = list(CATALOGUE)
    return [names[i % len(names)] + (f" v{i // len(names) + 1}" if i >= len(names) else "") for i in range(count)]


def kind_of(label: str) -> Kind:
    """What a label looks like.

    Raises:
        ValueError: nothing of that name can be drawn.
    """
    if label in CATALOGUE:
        return CATALOGUE[label]
    match = _NUMBERED.fullmatch(label)
    if match is None or match["name"] not in CATALOGUE:
        raise ValueError(f"{label!r} cannot be drawn: the names are {', '.join(CATALOGUE)}")
    return _variety(CATALOGUE[match["name"]], zlib.crc32(label.encode()))


def _variety(kind: Kind, number: int) -> Kind:
    """A kind of another hue and build; the same for the same number."""
    turn = ((number & 0xFF) / 255 - 0.5) * 0.3
    build = 1 + (((number >> 8) & 0xFF) / 255 - 0.5) * 0.3
    return dataclasses.replace(
        kind,
        skin=turned(kind.skin, turn),
        blush=turned(kind.blush, -turn),
        aspect=kind.aspect * build,
        blushed=min(0.8, kind.blushed * (0.5 + ((number >> 16) & 0xFF) / 255)),
    )


def turned(colour: Colour, turn: float, deeper: float = 0.0) -> Colour:
    """A colour of another hue (by the share `turn` of the circle) and lightness (darker by the share `deeper`)."""
    if not turn and not deeper:
        return colour
    hue, lightness, saturation = colorsys.rgb_to_hls(*colour)
    return colorsys.hls_to_rgb((hue + turn) % 1.0, min(1.0, lightness * (1 - deeper)), saturation)

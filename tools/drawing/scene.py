"""A whole picture: background, light, fruit, and what a camera adds."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageFilter

from tools.drawing.catalogue import CATALOGUE, Kind, kind_of, turned
from tools.drawing.solid import Canvas, Light, Pose, paint_fruit, paint_shadow
from tools.drawing.surface import noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

Difficulty = Literal["easy", "medium", "hard"]
# Painted no larger than this and then enlarged: a photograph of 12 megapixels needs a camera's size, not its detail.
_LARGEST_PAINTED = 1024
_SHARE_WITH_STRANGER = 0.4
_FEW = 3
_PAPERS = (
    (0.97, 0.96, 0.94),
    (0.95, 0.95, 0.97),
    (0.93, 0.96, 0.95),
    (0.98, 0.95, 0.91),
    (0.94, 0.93, 0.96),
)
_TABLES = (
    (0.55, 0.38, 0.24),
    (0.72, 0.58, 0.42),
    (0.24, 0.24, 0.27),
    (0.62, 0.66, 0.7),
    (0.85, 0.84, 0.8),
    (0.35, 0.42, 0.34),
    (0.5, 0.2, 0.2),
)


@dataclasses.dataclass(frozen=True)
class Conditions:
    """How hard a picture is, by what makes it so; each from 0 (a catalogue's photograph) to 1 (a phone's in a kitchen).

    Attributes:
        shapes: how far a fruit's build strays from its kind's.
        colours: how far its colour does.
        lighting: how low, dim and tinted the light is, and how wrong the exposure.
        sizes: how large and where the fruit lies, and how it is turned.
        settings: what else is in the picture: wood and cloth, part of another fruit, grain and blur.
    """

    shapes: float = 0.0
    colours: float = 0.0
    lighting: float = 0.0
    sizes: float = 0.0
    settings: float = 0.0

    def __post_init__(self) -> None:
        for name, level in dataclasses.asdict(self).items():
            if not 0.0 <= level <= 1.0:
                raise ValueError(f"{name} of {level} cannot be drawn: from 0 (easy) to 1 (hard)")

    @classmethod
    def of(cls, difficulty: Difficulty) -> Conditions:
        """All of them at one level."""
        level = LEVELS[difficulty]
        return cls(level, level, level, level, level)


LEVELS: dict[Difficulty, float] = {"easy": 0.0, "medium": 0.5, "hard": 1.0}


def draw(
    label: str,
    index: int,
    seed: int = 0,
    size: int | tuple[int, int] = 100,
    *,
    difficulty: Difficulty | Conditions = "easy",
) -> Image.Image:
    """Draws the picture number `index` of a label: RGB, `size` pixels square or (width, height).

    The same arguments give the same pixels, in any process and order.

    Raises:
        ValueError: nothing of that name can be drawn, or the size is smaller than 8 pixels.
    """
    width, height = (size, size) if isinstance(size, int) else size
    if min(width, height) < 8:  # noqa: PLR2004  # smaller than this no fruit can be told from another
        raise ValueError(f"a picture of {width} x {height} pixels is too small to draw: at least 8 x 8")
    conditions = difficulty if isinstance(difficulty, Conditions) else Conditions.of(difficulty)
    seeds = _seeds(label, index, seed)
    rng = np.random.default_rng(seeds)
    kind = _individual(kind_of(label), np.random.default_rng([*seeds, 1]), conditions)
    shrink = min(1.0, _LARGEST_PAINTED / max(width, height))
    painted = _paint(kind, rng, (max(8, round(width * shrink)), max(8, round(height * shrink))), conditions)
    if shrink < 1.0:
        return _with_grain(painted.resize((width, height), Image.Resampling.BICUBIC), rng)
    return painted


def _seeds(label: str, index: int, seed: int) -> list[int]:
    digest = hashlib.sha256(f"{seed}\n{label}\n{index}".encode()).digest()
    return [int.from_bytes(digest[at : at + 4], "big") for at in range(0, 16, 4)]


def _between(easy: float, hard: float, level: float) -> float:
    """From `easy` at level 0 to `hard` at level 1."""
    return easy + (hard - easy) * level


def _individual(kind: Kind, rng: np.random.Generator, conditions: Conditions) -> Kind:
    """One fruit of a kind: its build and colour, each as far from the kind's as the conditions allow."""
    build, hue, depth, size = rng.uniform(-1, 1, 4)
    shapes, colours = conditions.shapes, conditions.colours
    return dataclasses.replace(
        kind,
        aspect=kind.aspect * (1 + 0.16 * shapes * build),
        skew=kind.skew + 0.14 * shapes * size,
        skin=turned(kind.skin, 0.035 * colours * hue, 0.18 * colours * depth),
        blush=turned(kind.blush, 0.035 * colours * hue, 0.18 * colours * depth),
        blushed=min(0.9, max(0.02, kind.blushed * (1 + 0.7 * colours * size))),
    )


def _paint(kind: Kind, rng: np.random.Generator, size: tuple[int, int], conditions: Conditions) -> Image.Image:
    light = _light(rng, conditions.lighting)
    canvas = Canvas(_background(rng, size, conditions.settings))
    if conditions.settings and rng.random() < _SHARE_WITH_STRANGER * conditions.settings:
        _paint_stranger(canvas, light, rng)
    fruits = _arranged(kind, _pose(canvas, rng, conditions.sizes), rng)
    for pose in fruits:
        paint_shadow(canvas, pose, light, 0.42 if len(fruits) == 1 else 0.14)
    for pose in fruits:
        paint_fruit(canvas, kind, pose, light, rng)
    return _photographed(canvas.pixels, rng, conditions)


def _light(rng: np.random.Generator, level: float) -> Light:
    """From above, left or right; the harder, the dimmer and more tinted."""
    x, y = rng.uniform(-0.7, 0.7), rng.uniform(-0.75, -0.3)
    direction = np.array([x, y, rng.uniform(0.45, 0.9)])
    direction /= np.linalg.norm(direction)
    warmth = rng.normal(0.0, _between(0.02, 0.07, level))
    power = rng.uniform(_between(0.94, 0.6, level), _between(1.06, 1.08, level))
    colour = (power * (1 + warmth), power, power * (1 - warmth))
    return Light((direction[0], direction[1], direction[2]), colour, rng.uniform(0.3, 0.45))


def _background(rng: np.random.Generator, size: tuple[int, int], level: float) -> Field:
    """Paper in a pale tint, lit from one side; the harder, the more often wood, cloth and the dark instead."""
    width, height = size
    tint = np.array(_PAPERS[rng.integers(len(_PAPERS))], np.float32)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    glow = 1.02 - 0.07 * (across * np.float32(rng.uniform(-1, 1)) + down * np.float32(rng.uniform(0, 1)))
    paper = tint * (glow - 0.05 * (across**2 + down**2))[..., None]
    if level == 0 or (level < 1 and rng.random() >= level):
        return paper.astype(np.float32)
    table = np.array(_TABLES[rng.integers(len(_TABLES))], np.float32)
    grain = noise(rng, (height, width), int(rng.integers(3, 30)))
    lines = np.sin(down * np.float32(rng.uniform(4, 40)) + grain * np.float32(rng.uniform(1, 9)))
    share = np.float32(rng.uniform(0.0, 0.35))
    return (table * (0.8 + 0.35 * grain + share * lines * 0.5)[..., None] * glow[..., None]).astype(np.float32)


def _pose(canvas: Canvas, rng: np.random.Generator, level: float) -> Pose:
    """Where the fruit (or the middle of several) lies; its radius is the scale of everything."""
    height = canvas.height / canvas.width
    reach = _between(0.05, 0.22, level)
    scale = rng.uniform(_between(0.9, 0.6, level), _between(1.06, 1.05, level)) * min(1.0, height)
    turn = rng.uniform(-np.pi * level, np.pi * level) if level else rng.normal(0.0, 0.2)
    return Pose(rng.uniform(-reach, reach), rng.uniform(-reach, reach) * height + 0.05 * height, scale, turn)


def _arranged(kind: Kind, middle: Pose, rng: np.random.Generator) -> list[Pose]:
    """The fruits of one picture, the farthest first."""
    radius = kind.radius * middle.radius
    if kind.count == 1:
        return [dataclasses.replace(middle, radius=radius)]
    if kind.count <= _FEW:
        return _in_a_row(kind, middle, rng)
    return _in_a_heap(kind, middle, rng)


def _in_a_row(kind: Kind, middle: Pose, rng: np.random.Generator) -> list[Pose]:
    apart = kind.radius * (1.0 if kind.shape == "bunch" else 0.3) * middle.radius
    start = -(kind.count - 1) / 2
    cos, sin = np.cos(middle.turn), np.sin(middle.turn)
    offsets = [((start + i) * apart * 2, rng.uniform(-0.1, 0.1)) for i in range(kind.count)]
    if kind.shape == "banana":
        offsets = [(0.0, x) for x, _ in offsets]
    return [
        Pose(
            middle.x + x * cos - y * sin,
            middle.y + x * sin + y * cos,
            kind.radius * middle.radius,
            middle.turn + rng.normal(0, 0.12),
        )
        for x, y in offsets
    ]


def _in_a_heap(kind: Kind, middle: Pose, rng: np.random.Generator) -> list[Pose]:
    """Spread evenly over a disc that tapers downwards, as a bunch of grapes does; the lower ones in front."""
    angles = np.arange(kind.count) * 2.399963 + rng.uniform(0, 6)  # the golden angle: no two fall together
    reach = 0.62 * np.sqrt((np.arange(kind.count) + 0.5) / kind.count) * middle.radius
    x, y = reach * np.cos(angles), reach * np.sin(angles)
    x = x * (1.0 - 0.45 * y / middle.radius)
    order = np.argsort(-np.hypot(x, y) + 0.15 * rng.random(kind.count))
    sizes = kind.radius * middle.radius * rng.uniform(0.88, 1.08, kind.count)
    cos, sin = np.cos(middle.turn), np.sin(middle.turn)
    return [
        Pose(
            middle.x + x[i] * cos - y[i] * sin,
            middle.y + x[i] * sin + y[i] * cos,
            sizes[i],
            middle.turn + rng.uniform(-0.6, 0.6),
        )
        for i in order
    ]


def _paint_stranger(canvas: Canvas, light: Light, rng: np.random.Generator) -> None:
    """Part of another fruit at the picture's edge."""
    names = list(CATALOGUE)
    kind = CATALOGUE[names[rng.integers(len(names))]]
    angle = rng.uniform(-np.pi, np.pi)
    pose = Pose(1.05 * np.cos(angle), 1.05 * np.sin(angle), 0.42, rng.uniform(-1, 1))
    paint_shadow(canvas, pose, light, 0.3)
    paint_fruit(canvas, kind, pose, light, rng)


def _photographed(pixels: Field, rng: np.random.Generator, conditions: Conditions) -> Image.Image:
    """Exposure, grain and, in hard pictures, blur."""
    level = conditions.settings
    exposure = rng.uniform(_between(0.96, 0.7, conditions.lighting), _between(1.04, 1.2, conditions.lighting))
    grain = rng.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None] * _between(0.008, 0.02, level)
    image = Image.fromarray((np.clip(pixels * exposure + grain, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
    if level:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.0, 0.012 * level)) * min(image.size)))
    return image


def _with_grain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Grain of one pixel over an enlarged picture, repeated in tiles: it gives a photograph's size in bytes."""
    tile = rng.integers(-6, 7, (509, 509, 1), dtype=np.int16)
    repeats = (-(-image.height // tile.shape[0]), -(-image.width // tile.shape[1]), 1)
    grain = np.tile(tile, repeats)[: image.height, : image.width]
    return Image.fromarray(np.clip(np.asarray(image, np.int16) + grain, 0, 255).astype(np.uint8))

"""A whole picture: background, light, fruit, and what a camera adds."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image, ImageFilter

from tools.drawing.catalogue import CATALOGUE, Kind, kind_of
from tools.drawing.solid import Canvas, Light, Pose, paint_fruit, paint_shadow
from tools.drawing.surface import noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Field = NDArray[np.float32]

Difficulty = Literal["easy", "hard"]
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


def draw(
    label: str,
    index: int,
    seed: int = 0,
    size: int | tuple[int, int] = 100,
    *,
    difficulty: Difficulty = "easy",
) -> Image.Image:
    """Draws the picture number `index` of a label: RGB, `size` pixels square or (width, height).

    The same arguments give the same pixels, in any process and order.

    Raises:
        ValueError: nothing of that name can be drawn, or the size is smaller than 8 pixels.
    """
    width, height = (size, size) if isinstance(size, int) else size
    if min(width, height) < 8:  # noqa: PLR2004  # smaller than this no fruit can be told from another
        raise ValueError(f"a picture of {width} x {height} pixels is too small to draw: at least 8 x 8")
    kind = kind_of(label)
    rng = np.random.default_rng(_seeds(label, index, seed))
    shrink = min(1.0, _LARGEST_PAINTED / max(width, height))
    painted = _paint(kind, rng, (max(8, round(width * shrink)), max(8, round(height * shrink))), difficulty)
    if shrink < 1.0:
        return _with_grain(painted.resize((width, height), Image.Resampling.BICUBIC), rng)
    return painted


def _seeds(label: str, index: int, seed: int) -> list[int]:
    digest = hashlib.sha256(f"{seed}\n{label}\n{index}".encode()).digest()
    return [int.from_bytes(digest[at : at + 4], "big") for at in range(0, 16, 4)]


def _paint(kind: Kind, rng: np.random.Generator, size: tuple[int, int], difficulty: Difficulty) -> Image.Image:
    hard = difficulty == "hard"
    light = _light(rng, hard=hard)
    canvas = Canvas(_background(rng, size, hard=hard))
    if hard and rng.random() < _SHARE_WITH_STRANGER:
        _paint_stranger(canvas, light, rng)
    fruits = _arranged(kind, _pose(canvas, rng, hard=hard), rng)
    for pose in fruits:
        paint_shadow(canvas, pose, light, 0.42 if len(fruits) == 1 else 0.14)
    for pose in fruits:
        paint_fruit(canvas, kind, pose, light, rng)
    return _photographed(canvas.pixels, rng, hard=hard)


def _light(rng: np.random.Generator, *, hard: bool) -> Light:
    """From above, left or right; in hard pictures lower, dimmer and tinted."""
    x, y = rng.uniform(-0.7, 0.7), rng.uniform(-0.75, -0.3)
    direction = np.array([x, y, rng.uniform(0.45, 0.9)])
    direction /= np.linalg.norm(direction)
    warmth = rng.normal(0.0, 0.07 if hard else 0.02)
    power = rng.uniform(0.6, 1.08) if hard else rng.uniform(0.94, 1.06)
    colour = (power * (1 + warmth), power, power * (1 - warmth))
    return Light((direction[0], direction[1], direction[2]), colour, rng.uniform(0.3, 0.45))


def _background(rng: np.random.Generator, size: tuple[int, int], *, hard: bool) -> Field:
    """Paper in a pale tint, lit from one side; in hard pictures also wood, cloth and the dark."""
    width, height = size
    tint = np.array(_PAPERS[rng.integers(len(_PAPERS))], np.float32)
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    glow = 1.02 - 0.07 * (across * np.float32(rng.uniform(-1, 1)) + down * np.float32(rng.uniform(0, 1)))
    paper = tint * (glow - 0.05 * (across**2 + down**2))[..., None]
    if not hard:
        return paper.astype(np.float32)
    table = np.array(_TABLES[rng.integers(len(_TABLES))], np.float32)
    grain = noise(rng, (height, width), int(rng.integers(3, 30)))
    lines = np.sin(down * np.float32(rng.uniform(4, 40)) + grain * np.float32(rng.uniform(1, 9)))
    share = np.float32(rng.uniform(0.0, 0.35))
    return (table * (0.8 + 0.35 * grain + share * lines * 0.5)[..., None] * glow[..., None]).astype(np.float32)


def _pose(canvas: Canvas, rng: np.random.Generator, *, hard: bool) -> Pose:
    """Where the fruit (or the middle of several) lies; its radius is the scale of everything."""
    height = canvas.height / canvas.width
    reach = 0.22 if hard else 0.05
    scale = (rng.uniform(0.6, 1.05) if hard else rng.uniform(0.9, 1.06)) * min(1.0, height)
    turn = rng.uniform(-np.pi, np.pi) if hard else rng.normal(0.0, 0.2)
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


def _photographed(pixels: Field, rng: np.random.Generator, *, hard: bool) -> Image.Image:
    """Exposure, grain and, in hard pictures, blur."""
    exposure = rng.uniform(0.7, 1.2) if hard else rng.uniform(0.96, 1.04)
    grain = rng.standard_normal(pixels.shape[:2], dtype=np.float32)[..., None] * (0.02 if hard else 0.008)
    image = Image.fromarray((np.clip(pixels * exposure + grain, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
    if hard:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.0, 0.012)) * min(image.size)))
    return image


def _with_grain(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Grain of one pixel over an enlarged picture, repeated in tiles: it gives a photograph's size in bytes."""
    tile = rng.integers(-6, 7, (509, 509, 1), dtype=np.int16)
    repeats = (-(-image.height // tile.shape[0]), -(-image.width // tile.shape[1]), 1)
    grain = np.tile(tile, repeats)[: image.height, : image.width]
    return Image.fromarray(np.clip(np.asarray(image, np.int16) + grain, 0, 255).astype(np.uint8))

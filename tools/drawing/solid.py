"""Fruit as lit solids, painted onto a canvas."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from tools.drawing.surface import mix, skin, smoothstep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.drawing.catalogue import Kind

    Field = NDArray[np.float32]

# A banana: half the angle of its arc in radians, and the share of it after which the stalk begins.
_HALF_BEND = 1.12
_STALK = 0.9


@dataclasses.dataclass(frozen=True)
class Light:
    """Where the light comes from (a unit vector: right, down, towards the eye), its colour and its ambient share."""

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]
    ambient: float


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a fruit lies: centre and radius in units of the picture's half width, and its turn in radians."""

    x: float
    y: float
    radius: float
    turn: float


class Canvas:
    """A picture being painted.

    `pixels` is height x width x 3 float32 in 0..1. Coordinates run from -1 to 1 across the width, 0 in the middle.
    """

    def __init__(self, pixels: Field) -> None:
        self.pixels = pixels
        self.height, self.width = pixels.shape[:2]
        self.pixel = 2.0 / self.width

    def window(self, x: float, y: float, reach: float) -> tuple[slice, slice]:
        """Rows and columns of the square of half width `reach` around (x, y), cut at the picture's edges."""
        half = self.height / self.width
        left, right = (int((at + 1.0) / self.pixel) for at in (x - reach, x + reach + self.pixel))
        top, bottom = (int((at + half) / self.pixel) for at in (y - reach, y + reach + self.pixel))
        return (slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0)))

    def axes(self, window: tuple[slice, slice], pose: Pose) -> tuple[Field, Field]:
        """The coordinates of a window's pixels along the fruit's own axes, in radii."""
        rows = np.arange(self.height, dtype=np.float32)[window[0]]
        columns = np.arange(self.width, dtype=np.float32)[window[1]]
        dx = ((columns + 0.5) * self.pixel - 1.0 - pose.x)[None, :] / pose.radius
        dy = ((rows + 0.5) * self.pixel - self.height / self.width - pose.y)[:, None] / pose.radius
        cos, sin = np.float32(np.cos(pose.turn)), np.float32(np.sin(pose.turn))
        return dx * cos + dy * sin, dy * cos - dx * sin

    def blend(self, window: tuple[slice, slice], colours: Field, mask: Field) -> None:
        """Lays colours over a window, each as strong as `mask` says."""
        self.pixels[window] = mix(self.pixels[window], colours, mask)


def paint_shadow(canvas: Canvas, pose: Pose, light: Light, strength: float) -> None:
    """A soft shadow below the fruit, away from the light."""
    x = pose.x - light.direction[0] * pose.radius * 0.45
    y = pose.y + pose.radius * 0.62
    window = canvas.window(x, y, pose.radius * 2.2)
    u, v = canvas.axes(window, Pose(x, y, pose.radius, 0.0))
    away = np.sqrt((u / 1.15) ** 2 + (v / 0.5) ** 2)
    dark = (1.0 - smoothstep(0.25, 1.45, away)) * strength
    canvas.pixels[window] *= (1.0 - dark)[..., None]


def paint_fruit(canvas: Canvas, kind: Kind, pose: Pose, light: Light, rng: np.random.Generator) -> None:
    """Paints one solid of a kind: skin, light and shade, gloss, crown."""
    window = canvas.window(pose.x, pose.y, pose.radius * 1.75)
    u, v = canvas.axes(window, pose)
    if u.size == 0:
        return
    rho, nx, ny = _bent(u, v) if kind.shape == "banana" else _star_shaped(kind, u, v)
    inside = np.clip(rho, 0.0, 1.0)
    colours = skin(kind, rng, inside, np.clip(u, -1, 1), np.clip(v, -1, 1))
    colours = colours if kind.shape == "cut" else _lit(colours, inside, (nx, ny), kind.gloss, light, pose.turn)
    edge = canvas.pixel / pose.radius
    canvas.blend(window, np.clip(colours, 0, 1), 1.0 - smoothstep(1.0 - edge, 1.0 + edge, rho))
    x, y = _at(pose, max(0.0, kind.top[0]))
    _CROWNS[kind.crown](canvas, dataclasses.replace(pose, x=x, y=y), light)


def _star_shaped(kind: Kind, u: Field, v: Field) -> tuple[Field, Field, Field]:
    """How far out each pixel is (1 on the outline), and the two sideways parts of the surface's normal."""
    x = u / np.float32(max(kind.aspect, 1e-3)) - np.float32(kind.skew) * (v * v - 0.4)
    radius = np.hypot(x, v)
    from_top = np.abs(np.arctan2(x, -v))
    outline = (
        1.0
        + kind.top[0] * np.exp(-((from_top / kind.top[1]) ** 2))
        + kind.bottom[0] * np.exp(-(((np.pi - from_top) / kind.bottom[1]) ** 2))
    )
    rho: Field = (radius / outline).astype(np.float32)
    return rho, (x / outline).astype(np.float32), (v / outline).astype(np.float32)


def _bent(u: Field, v: Field) -> tuple[Field, Field, Field]:
    """The same for a banana: a tapering tube along an arc that opens upwards."""
    bend = np.float32(0.95)
    x, y = u, v + np.float32(0.62)
    away = np.hypot(x, y)
    along = np.arctan2(x, y) / np.float32(_HALF_BEND)
    taper = np.sqrt(np.clip(1.0 - np.abs(along) ** 3.2, 0.0, None)) * 0.235 + 0.045
    taper = np.where(along > _STALK, 0.06, taper)
    across = (away - bend) / taper
    ends = np.clip(np.abs(along) - 1.0, 0.0, None) * 18.0
    rho = np.hypot(across, ends).astype(np.float32)
    safe = np.maximum(away, 1e-3)
    return rho, (across * x / safe).astype(np.float32), (across * y / safe).astype(np.float32)


def _lit(colours: Field, rho: Field, sideways: tuple[Field, Field], gloss: float, light: Light, turn: float) -> Field:
    """Lambert's shade, a darker rim, and a highlight as sharp as the skin is glossy."""
    nz = np.sqrt(np.clip(1.0 - rho * rho, 0.0, 1.0))
    # The normals turn with the fruit; the light does not, so it is turned the other way.
    cos, sin = np.cos(turn), np.sin(turn)
    lx, ly = (
        light.direction[0] * cos + light.direction[1] * sin,
        light.direction[1] * cos - light.direction[0] * sin,
    )
    facing = np.clip(sideways[0] * lx + sideways[1] * ly + nz * light.direction[2], 0.0, 1.0)
    shade = light.ambient + (1.0 - light.ambient) * facing
    shade = shade * (0.72 + 0.28 * nz) * 1.18
    sharp = 6.0 + 40.0 * gloss
    shine = gloss * np.clip(facing, 0, 1) ** sharp * 0.75
    tint = np.array(light.colour, np.float32)
    lit: Field = (colours * shade[..., None] * tint + shine[..., None]).astype(np.float32)
    return lit


def _at(pose: Pose, up: float) -> tuple[float, float]:
    """The point `up` radii above the fruit's centre, along its own axis."""
    return pose.x + np.sin(pose.turn) * up * pose.radius, pose.y - np.cos(pose.turn) * up * pose.radius


def _paint_stem(canvas: Canvas, pose: Pose, light: Light) -> None:
    x, y = _at(pose, 1.08)
    window = canvas.window(x, y, pose.radius * 0.4)
    u, v = canvas.axes(window, Pose(x, y, pose.radius, pose.turn))
    across = (u - 0.35 * (v - 0.2) ** 2) / 0.055
    colour = (
        np.array([0.34, 0.24, 0.13], np.float32) * (1.0 + 0.5 * np.clip(across * light.direction[0], -1, 1))[..., None]
    )
    edge = canvas.pixel / pose.radius
    mask = (1 - smoothstep(1 - edge * 9, 1 + edge * 9, np.abs(across))) * (
        1 - smoothstep(0.24, 0.24 + edge * 2, np.abs(v))
    )
    canvas.blend(window, colour.astype(np.float32), mask)


def _paint_leaf(canvas: Canvas, pose: Pose, light: Light) -> None:
    x, y = _at(pose, 1.12)
    x += 0.3 * pose.radius
    window = canvas.window(x, y, pose.radius * 0.5)
    u, v = canvas.axes(window, Pose(x, y, pose.radius * 0.36, pose.turn - 0.5))
    across = np.abs(v) / np.clip(0.42 * (1.0 - u * u), 0.02, None)
    vein = 1.0 - smoothstep(0.0, 0.12, np.abs(v))
    colour = np.array([0.25, 0.5, 0.16], np.float32) * (0.85 + 0.3 * vein - 0.2 * v * light.direction[1])[..., None]
    mask = (1.0 - smoothstep(0.85, 1.1, across)) * (np.abs(u) < 1.0)
    canvas.blend(window, colour.astype(np.float32), mask.astype(np.float32))


def _paint_stem_and_leaf(canvas: Canvas, pose: Pose, light: Light) -> None:
    _paint_stem(canvas, pose, light)
    _paint_leaf(canvas, pose, light)


def _paint_calyx(canvas: Canvas, pose: Pose, light: Light) -> None:
    """Green sepals around the stem, seen from the side."""
    x, y = _at(pose, 0.8)
    window = canvas.window(x, y, pose.radius * 0.65)
    u, v = canvas.axes(window, Pose(x, y, pose.radius * 0.55, pose.turn))
    v = v * 1.9
    away, angle = np.hypot(u, v), np.arctan2(v, u)
    reach = 0.42 + 0.55 * np.abs(np.cos(angle * 2.5)) ** 2.2
    tone = 0.8 + 0.35 * np.cos(angle * 5.0) - 0.25 * v * max(0.0, -light.direction[1])
    colour = np.array([0.3, 0.5, 0.18], np.float32) * tone[..., None]
    canvas.blend(window, colour.astype(np.float32), 1.0 - smoothstep(0.9, 1.06, (away / reach).astype(np.float32)))


def _paint_star(canvas: Canvas, pose: Pose, _light: Light) -> None:
    """The little scar where an orange or a blueberry hung."""
    x, y = _at(pose, 0.45)
    window = canvas.window(x, y, pose.radius * 0.3)
    u, v = canvas.axes(window, Pose(x, y, pose.radius * 0.2, pose.turn))
    away = (np.hypot(u, v * 1.3) * (1.0 + 0.35 * np.cos(np.arctan2(v, u) * 5.0))).astype(np.float32)
    canvas.blend(window, canvas.pixels[window] * 0.45, (1.0 - smoothstep(0.35, 0.9, away)) * 0.8)


def _paint_nothing(_canvas: Canvas, _pose: Pose, _light: Light) -> None:
    """A fruit without a crown."""


_CROWNS = {
    "none": _paint_nothing,
    "stem": _paint_stem,
    "leaf": _paint_stem_and_leaf,
    "calyx": _paint_calyx,
    "star": _paint_star,
}

"""Skins: the colour of a fruit at each of its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.drawing.catalogue import Kind

    Field = NDArray[np.float32]


def noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> Field:
    """Smooth noise in 0..1 of `shape` with about `cells` blotches along a side."""
    grid = Image.fromarray(rng.random((cells + 1, cells + 1), dtype=np.float32))
    field: Field = np.asarray(grid.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    return np.minimum(np.maximum(field, np.float32(0)), np.float32(1))


def smoothstep(low: float, high: float, value: Field) -> Field:
    """0 below `low`, 1 above `high`, smooth between."""
    t: Field = np.clip((value - low) / (high - low), 0.0, 1.0, dtype=np.float32)
    return t * t * (np.float32(3.0) - np.float32(2.0) * t)


def mix(first: Field, second: Field, share: Field) -> Field:
    """`first` with the share `share` (height x width) of `second` (both height x width x 3, or one colour)."""
    return (first + (second - first) * share[..., None]).astype(np.float32)


def skin(kind: Kind, rng: np.random.Generator, rho: Field, u: Field, v: Field) -> Field:
    """Colours (height x width x 3, in 0..1) of a fruit.

    `rho` is 0 at the fruit's middle and 1 at its outline; `u` (to the right) and `v` (downwards) are its own axes, from
    -1 to 1.
    """
    first, second = np.array(kind.skin, np.float32), np.array(kind.blush, np.float32)
    first = first * rng.uniform(0.93, 1.07, 3).astype(np.float32)
    blotches = noise(rng, _shape(rho), 4)
    side = rng.uniform(-0.5, 0.5)
    edge = 1.0 - 2.0 * kind.blushed
    share = smoothstep(edge - 0.5, edge + 0.5, u * np.float32(side * 2) - v * 0.35 + (blotches - 0.5) * 1.3)
    return _TEXTURES[kind.texture](rng, mix(first, second, share), second, rho, u, v)


def _shape(field: Field) -> tuple[int, int]:
    return (field.shape[0], field.shape[1])


def _smooth(_rng: np.random.Generator, base: Field, _second: Field, _rho: Field, _u: Field, _v: Field) -> Field:
    return base


def _streaks(rng: np.random.Generator, base: Field, second: Field, rho: Field, u: Field, v: Field) -> Field:
    """Fine lines from the stem down, as on a Braeburn."""
    meridian = u / np.sqrt(np.clip(1.02 - v * v, 0.05, None))
    wobble = noise(rng, _shape(rho), 6)
    lines = np.sin(meridian * np.float32(rng.uniform(16, 24)) + wobble * 7.0 + np.float32(rng.uniform(0, 6)))
    return mix(base, second, smoothstep(0.1, 1.0, lines) * 0.55)


def _dots(rng: np.random.Generator, rho: Field, cells: int, threshold: float) -> Field:
    return smoothstep(threshold, min(threshold + 0.12, 1.0), noise(rng, _shape(rho), cells))


def _pores(rng: np.random.Generator, base: Field, _second: Field, rho: Field, _u: Field, _v: Field) -> Field:
    return base * (1.0 - 0.13 * _dots(rng, rho, 44, 0.66))[..., None]


def _freckles(rng: np.random.Generator, base: Field, _second: Field, rho: Field, _u: Field, _v: Field) -> Field:
    return mix(base, base * np.array([0.62, 0.5, 0.4], np.float32), _dots(rng, rho, 36, 0.86) * 0.7)


def _fuzz(rng: np.random.Generator, base: Field, _second: Field, rho: Field, _u: Field, _v: Field) -> Field:
    """A bloom of pale down that is thickest towards the outline."""
    pale = np.array([0.93, 0.9, 0.92], np.float32)
    return mix(base, pale, np.clip(rho, 0, 1) ** 3 * (0.12 + 0.22 * noise(rng, _shape(rho), 5)))


def _stripes(rng: np.random.Generator, base: Field, second: Field, rho: Field, u: Field, v: Field) -> Field:
    meridian = np.arcsin(np.clip(u / np.sqrt(np.clip(1.02 - v * v, 0.05, None)), -1, 1))
    jagged = (noise(rng, _shape(rho), 9) - 0.5) * 1.6
    bands = np.sin(meridian * np.float32(rng.uniform(7.5, 9.5)) + jagged + np.float32(rng.uniform(0, 6)))
    pale = np.array(base.mean(axis=(0, 1))) * 1.45
    return mix(np.broadcast_to(np.clip(pale, 0, 1), base.shape), second, smoothstep(-0.25, 0.35, bands))


def _seeds(rng: np.random.Generator, base: Field, _second: Field, _rho: Field, u: Field, v: Field) -> Field:
    """Yellow seeds in a dark pit each, on a lattice that follows the fruit's bulge."""
    bulge = np.float32(1.0) + 0.35 * (u * u + v * v)
    row = v * bulge * 4.2
    column = u * bulge * 4.2 + 0.5 * (np.floor(row) % 2) + np.float32(rng.uniform(0, 1))
    away = np.hypot((column - np.floor(column) - 0.5) * 1.25, row - np.floor(row) - 0.5)
    pitted = base * (1.0 - 0.35 * (1.0 - smoothstep(0.16, 0.34, away)))[..., None]
    return mix(pitted, np.array([0.95, 0.82, 0.42], np.float32), 1.0 - smoothstep(0.1, 0.19, away))


def _segments(rng: np.random.Generator, base: Field, second: Field, rho: Field, u: Field, v: Field) -> Field:
    """A citrus fruit cut across: rind, pith, ten segments of juicy cells."""
    angle = np.arctan2(v, u) + np.float32(rng.uniform(0, 6))
    across = np.abs(np.sin(angle * 5.0)) * rho
    walls = smoothstep(0.03, 0.11, across) * (1.0 - smoothstep(0.8, 0.84, rho)) * smoothstep(0.07, 0.13, rho)
    cells = noise(rng, _shape(rho), 18)
    flesh = mix(base, second, cells * 0.9)
    pith = np.array([0.99, 0.93, 0.78], np.float32)
    rind = np.array([0.95, 0.55, 0.1], np.float32)
    inside = mix(np.broadcast_to(pith, base.shape), flesh, walls)
    return mix(inside, rind, smoothstep(0.91, 0.95, rho))


def _kiwi(rng: np.random.Generator, base: Field, second: Field, rho: Field, u: Field, v: Field) -> Field:
    """A kiwi cut across: pale heart, rays, a ring of seeds, brown rim."""
    angle = np.arctan2(v, u)
    rays = 0.5 + 0.5 * np.sin(angle * 22.0 + noise(rng, _shape(rho), 5) * 3.0)
    pale = (1.0 - smoothstep(0.16, 0.3, rho)) * 0.95 + rays * smoothstep(0.25, 0.4, rho) * 0.2
    flesh = mix(base, second, pale.astype(np.float32))
    ring: Field = np.exp(-(((rho - np.float32(0.42)) / np.float32(0.1)) ** 2))
    turn = angle * 13.0 / np.pi + np.float32(rng.uniform(0, 1))
    spots = np.hypot((turn - np.floor(turn) - 0.5) * 1.5, (rho - 0.4 - 0.06 * np.sin(np.floor(turn) * 2.4)) * 9.0)
    seeded = mix(flesh, np.array([0.1, 0.09, 0.06], np.float32), (1.0 - smoothstep(0.22, 0.42, spots)) * ring)
    return mix(seeded, np.array([0.45, 0.33, 0.18], np.float32), smoothstep(0.94, 0.98, rho))


_TEXTURES = {
    "smooth": _smooth,
    "streaks": _streaks,
    "pores": _pores,
    "freckles": _freckles,
    "fuzz": _fuzz,
    "stripes": _stripes,
    "seeds": _seeds,
    "segments": _segments,
    "kiwi": _kiwi,
}

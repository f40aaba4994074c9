"""Makes an ICC profile of what a file says of its colours in other words: primaries, a white and a transfer curve.

Sources: ICC.1:2010 (the profile), ITU-T H.273 (the numbers of primaries and transfer curves), PNG's third edition
(W3C), 11.3.2 (gAMA, cHRM, cICP).
"""

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Curve = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
Point = tuple[float, float]

#: The white of the profile connection space (ICC.1:2010, 7.2.16), and the matrix that adapts to it (Bradford, Annex E).
_D50: Final = np.array([0.9642, 1.0, 0.8249])
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
D65: Final = (0.3127, 0.3290)
_DCI_WHITE: Final = (0.314, 0.351)
_CURVE_POINTS: Final = 4096
#: What white is in a picture of high dynamic range, in cd/m2 (ITU-R BT.2408, 2.2): brighter parts are cut off.
_REFERENCE_WHITE: Final = 203.0
_PQ_PEAK: Final = 10_000.0
#: The signal of reference white in HLG (ITU-R BT.2408, table 1).
_HLG_WHITE: Final = 0.75
#: Where the two curves leave their first part.
_SRGB_LINEAR: Final = 0.04045
_HLG_LINEAR: Final = 0.5
#: A smaller determinant is that of three points on a line; no real primary is brighter than this.
_NO_COLOURS: Final = 1e-6
_MOST_XYZ: Final = 4.0


class Primaries(NamedTuple):
    """The chromaticities (x, y) of red, green, blue and white."""

    red: Point
    green: Point
    blue: Point
    white: Point


BT709: Final = Primaries((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
#: By their number in H.273, table 2; those that no picture format uses are left out.
PRIMARIES: Final[dict[int, Primaries]] = {
    1: BT709,
    5: Primaries((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65),
    6: Primaries((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),
    7: Primaries((0.63, 0.34), (0.31, 0.595), (0.155, 0.07), D65),
    9: Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),
    11: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI_WHITE),
    12: Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),
}


def power(exponent: float) -> Curve:
    """A plain power curve."""
    return lambda signal: signal**exponent


def srgb(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """IEC 61966-2-1."""
    return np.where(signal <= _SRGB_LINEAR, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def _pq(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084 (ITU-R BT.2100, table 4), reference white being 1."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = signal ** (1 / m2)
    light = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return light * _PQ_PEAK / _REFERENCE_WHITE


def _hlg(signal: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """ITU-R BT.2100, table 5, without the display's gamma, reference white being 1."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)

    def light(value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.where(value <= _HLG_LINEAR, value**2 / 3, (np.exp((value - c) / a) + b) / 12)

    return light(signal) / light(np.array(_HLG_WHITE))


#: By their number in H.273, table 3. BT.709's curve is a camera's: what is to be seen of it is what sRGB shows.
TRANSFERS: Final[dict[int, Curve]] = {
    1: srgb, 4: power(2.2), 5: power(2.8), 6: srgb, 8: power(1.0), 13: srgb, 14: srgb, 15: srgb, 16: _pq,
    17: power(2.6), 18: _hlg,
}  # fmt: skip


def rgb_profile(primaries: Primaries, curve: Curve) -> bytes:
    """An ICC profile of RGB pictures (ICC.1:2010, 8.3: three-component matrix-based input profiles).

    Raises:
        ValueError: the primaries span no colours.
    """
    columns = _to_d50(primaries)
    points = np.linspace(0.0, 1.0, _CURVE_POINTS)
    values = np.round(np.clip(curve(points), 0.0, 1.0) * 65_535).astype(">u2").tobytes()
    trc = b"curv" + struct.pack(">II", 0, _CURVE_POINTS) + values
    tags = {
        b"wtpt": _xyz(_D50),
        **{name: _xyz(columns[:, n]) for n, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc),
    }
    return _profile(tags)


def _to_d50(primaries: Primaries) -> npt.NDArray[np.float64]:
    """The columns of the matrix from linear RGB to XYZ under D50."""
    white = _xyz_of(primaries.white)
    colours = np.stack([_xyz_of(point) for point in primaries[:3]], axis=1)
    if not np.isfinite(colours).all() or not np.isfinite(white).all() or abs(np.linalg.det(colours)) < _NO_COLOURS:
        raise ValueError(f"its primaries span no colours: {primaries}")
    rgb_to_xyz = colours * np.linalg.solve(colours, white)
    seen, wanted = _BRADFORD @ white, _BRADFORD @ _D50
    if (seen <= 0).any():
        raise ValueError(f"its white is none: {primaries.white}")
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(wanted / seen) @ _BRADFORD @ rgb_to_xyz
    if np.abs(adapted).max() > _MOST_XYZ:
        raise ValueError(f"its primaries span no colours: {primaries}")
    return np.asarray(adapted, np.float64)


def _xyz_of(point: Point) -> npt.NDArray[np.float64]:
    x, y = point
    if y <= 0:
        raise ValueError(f"({x}, {y}) is no colour")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz(values: npt.NDArray[np.float64]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(value * 65_536) for value in values))


def _profile(tags: dict[bytes, bytes]) -> bytes:
    table, data, places = [], b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        if content not in places:  # three curves that are one are stored once
            places[content] = start + len(data)
            data += content + bytes(-len(content) % 4)
        table.append(name + struct.pack(">II", places[content], len(content)))
    header = struct.pack(
        ">I4sI4s4s4s12x4s4s24x3i48x",
        start + len(data), bytes(4), 0x0210_0000, b"mntr", b"RGB ", b"XYZ ", b"acsp", bytes(4),
        *(round(value * 65_536) for value in _D50),
    )  # fmt: skip
    return header + struct.pack(">I", len(tags)) + b"".join(table) + data

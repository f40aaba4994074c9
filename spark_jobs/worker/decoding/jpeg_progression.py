"""Whether all of a progressive JPEG is there (ITU-T T.81, Annex G): each of its scans says what it brings."""

from typing import Final

import numpy as np
import numpy.typing as npt

from spark_jobs.worker.decoding.jpeg_file import Segment, segments

_SOF_PROGRESSIVE: Final = frozenset({0xC2, 0xCA})
_SOF_SEQUENTIAL: Final = frozenset({0xC0, 0xC1, 0xC9})
_SOS: Final = 0xDA
#: The coefficients of a block, and what stands for one that no scan brought.
_COEFFICIENTS: Final = 64
_NEVER: Final = 0xFF


def unfinished_progression(content: bytes) -> str | None:
    """What is to be said of a progressive JPEG whose last scans are missing; None for one that is whole, or no such.

    Cut off between two scans and ended with the right marker, it is whole to libjpeg, only coarse.
    """
    bits_left: dict[int, npt.NDArray[np.uint8]] = {}
    progressive = False
    for segment in segments(content):
        if segment.marker in _SOF_SEQUENTIAL:
            return None
        if segment.marker in _SOF_PROGRESSIVE:
            progressive = True
            bits_left = {part: np.full(_COEFFICIENTS, _NEVER, np.uint8) for part in _components(content, segment)}
        elif segment.marker == _SOS:
            _note_scan(content[segment.start + 4 : segment.end], bits_left)
    if progressive and any(left.any() for left in bits_left.values()):
        return "the last scans of a progressive JPEG are missing"
    return None


def _components(content: bytes, frame: Segment) -> list[int]:
    """The numbers of a frame's components (B.2.2)."""
    count = content[frame.start + 9] if frame.end > frame.start + 9 else 0
    return [content[at] for at in range(frame.start + 10, min(frame.start + 10 + 3 * count, frame.end), 3)]


def _note_scan(header: bytes, bits_left: dict[int, npt.NDArray[np.uint8]]) -> None:
    """What a scan brings (B.2.3): a band of coefficients of some components, down to a bit."""
    count = header[0] if header else 0
    if len(header) < 1 + 2 * count + 3:
        return
    first, last, approximation = header[1 + 2 * count : 4 + 2 * count]
    for component in header[1 : 1 + 2 * count : 2]:
        if component in bits_left:
            bits_left[component][first : last + 1] = approximation & 0xF

"""A label's colour and shape, made of its text alone: the same in every run, and in the explorer (src/colours.ts)."""

#: No two have the same lightness, so that a grey print tells them apart.
COLOURS = (
    "#022d6e", "#740c36", "#035026", "#77289a", "#7f4e21", "#0569a3", "#ce3633", "#01898c", "#a88104", "#e17524",
)  # fmt: skip
#: matplotlib's markers: circle, square, triangle, diamond, cross, wedge, saltire, and a star for the page's bow.
MARKERS = "os^DPvX*"
_SEED = 2146572
_BITS = 0xFFFFFFFF


def _hash(text: str) -> int:
    """FNV-1a over the bytes of a text, then the mixing of MurmurHash3, 32 bits."""
    found = _SEED
    for byte in text.encode():
        found = (found ^ byte) * 0x01000193 & _BITS
    found = (found ^ found >> 16) * 0x85EBCA6B & _BITS
    found = (found ^ found >> 13) * 0xC2B2AE35 & _BITS
    return found ^ found >> 16


def label_colour(label: str) -> str:
    """As `#rrggbb`, for a white page."""
    return COLOURS[_hash(label) % len(COLOURS)]


def label_marker(label: str) -> str:
    """One of MARKERS."""
    return MARKERS[(_hash(label) >> 16) % len(MARKERS)]

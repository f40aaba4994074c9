"""What a file begins and ends with: names the formats we do not decode, tells cut-off files from broken ones."""

# Prefixes of files; see each format's specification. The first that fits wins.
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"%!PS", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "PSD"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"II+\x00", "BigTIFF"),
    (b"MM\x00+", "BigTIFF"),
    (b"<svg", "SVG"),
)
# The fourth to twelfth byte of an ISO media file: a `ftyp` box and its brand.
BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"heic": "HEIC", b"heix": "HEIC", b"hevc": "HEIC", b"mif1": "HEIC"}
LAST_BYTES = 64


def name_of_format(content: bytes) -> str | None:
    """The format a file begins like, by Pillow's name where it has one; None for no picture format we know."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp" and content[8:12] in BRANDS:
        return BRANDS[content[8:12]]
    return next((name for prefix, name in SIGNATURES if content.startswith(prefix)), None)


def is_cut_off(content: bytes, name: str) -> bool:
    """Whether a JPEG, PNG or WebP lacks its end; False for formats that mark none."""
    tail = content[-LAST_BYTES:]
    if name in {"JPEG", "MPO"}:
        return b"\xff\xd9" not in tail
    if name == "PNG":
        return b"IEND" not in tail
    if name == "WEBP":
        return len(content) < 8 + int.from_bytes(content[4:8], "little")
    return False

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
    (b"II\xbc\x01", "JPEG XR"),
    (b"<svg", "SVG"),
    # Cameras' RAW files that are not TIFFs in all but name: those are found out in tiff_file.py.
    (b"FUJIFILMCCD-RAW", "RAW of a camera (RAF)"),
    (b"IIRO", "RAW of a camera (ORF)"),
    (b"IIRS", "RAW of a camera (ORF)"),
    (b"MMOR", "RAW of a camera (ORF)"),
    (b"IIU\x00", "RAW of a camera (RW2)"),
    (b"\x00MRM", "RAW of a camera (MRW)"),
    (b"FOVb", "RAW of a camera (X3F)"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", "RAW of a camera (CRW)"),
)
# Brands of ISO media files (ISO/IEC 14496-12, 4.3). HEIF's: ISO/IEC 23008-12, B.4; AVIF's: its specification, 9.
_AVIF_BRANDS = frozenset({b"avif", b"avis", b"avio", b"MA1A", b"MA1B"})
_MAJOR_OF_PILLOW = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
#: Brands that say how a file is built and not what codes its pictures.
_HEIF_BRANDS = frozenset({
    b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"1pic", b"jpeg", b"jpgs", b"j2ki", b"j2is", b"avci", b"avcs", b"vvic",
    b"vvis", b"evbi", b"evbs", b"evmi", b"evms", b"unif", b"heio", b"MiHB", b"MiHE", b"MiHA", b"MiAn", b"MiPr", b"MiCm",
})  # fmt: skip
_RAW_BRANDS = frozenset({b"crx "})
#: The most that is read of a `ftyp` box: real ones have a dozen brands.
_BRANDS_BYTES = 1024
_BOX_HEADER, _MOST_BOXES = 8, 4
_EMPTY_BOXES = frozenset({b"free", b"skip", b"wide"})
LAST_BYTES = 64


def name_of_format(content: bytes) -> str | None:
    """The format a file begins like, by Pillow's name where it has one; None for no picture format we know."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if (brands_at := _brands_box(content)) is not None:
        return _name_of_brands(content, brands_at)
    return next((name for prefix, name in SIGNATURES if content.startswith(prefix)), None)


def with_known_brand(content: bytes) -> bytes:
    """An AVIF with a major brand that Pillow knows: it asks for that one alone, and not for those beside it."""
    at = _brands_box(content)
    if at is None or content[at + 8 : at + 12] in _MAJOR_OF_PILLOW:
        return content
    return content[: at + 8] + b"avif" + content[at + 12 :]


def _brands_box(content: bytes) -> int | None:
    """Where the `ftyp` box of an ISO media file begins (4.2): at the begin, or behind a box that holds nothing."""
    at = 0
    for _ in range(_MOST_BOXES):
        kind = content[at + 4 : at + 8]
        if kind == b"ftyp":
            return at
        size = int.from_bytes(content[at : at + 4])
        if kind not in _EMPTY_BOXES or size < _BOX_HEADER:
            return None
        at += size
    return None


def _name_of_brands(content: bytes, box: int) -> str:
    size = int.from_bytes(content[box : box + 4])
    # A size of 1 stands for one of 64 bits behind the kind (4.2).
    begin = box + (2 * _BOX_HEADER if size == 1 else _BOX_HEADER)
    end = min(begin + _BRANDS_BYTES, box + size if size > 1 else len(content))
    major = content[begin : begin + 4]
    brands = {major} | {content[at : at + 4] for at in range(begin + 8, end - 3, 4)}
    # The major brand says what the file is first of all; a general one leaves that to those beside it.
    kinds = (
        (_AVIF_BRANDS, "AVIF"),
        (_HEIC_BRANDS, "HEIC"),
        (_RAW_BRANDS, "RAW of a camera (CR3)"),
    )
    for named in ({major}, brands):
        for kind, name in kinds:
            if named & kind:
                return name
    return "HEIF" if brands & _HEIF_BRANDS else "a video (MP4, QuickTime or the like)"


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

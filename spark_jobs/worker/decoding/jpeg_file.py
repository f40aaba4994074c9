"""How a JPEG is built (ITU-T T.81, Annex B): its segments, its scans, and the holes in them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from spark_jobs.worker.decoding.file_signatures import is_cut_off
from spark_jobs.worker.decoding.undecodable import UndecodableError

SAMPLE_BITS = 8
SOI = b"\xff\xd8"
_SOF_HUFFMAN_SEQUENTIAL = frozenset({0xC0, 0xC1})
_SOF_DECODED = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DHT, _SOS, _EOI, _APP14 = 0xC4, 0xDA, 0xD9, 0xEE
_FILL = 0xFF
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_NOTES = frozenset({*range(0xE0, 0xF0), 0xFE}) - {_APP14}
#: The next marker behind entropy-coded bytes: neither a stuffed byte nor a restart marker (B.1.1.5). Without the fill
#: bytes before it: a pattern with them takes time by the square of their number.
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_AFTER_FILL = re.compile(rb"[^\xff]", re.DOTALL)
#: More segments than any program writes (a profile of 3 MB has 50), and few enough to be looked through at once.
_MOST_SEGMENTS = 10_000
#: The symbol that ends a block's coefficients (F.1.2.2.1).
_END_OF_BLOCK = 0
#: Each scan is a pass over the whole picture. Encoders write ten; libjpeg-turbo's own fuzzers stop at this number.
MOST_SCANS = 500
#: A hole has at least so many zero bytes: 256 bits, more than a block that they would be read as.
HOLE_BYTES = 32
_WORD_BYTES = 8
#: So long a run of zero bytes has at least so many whole zero words in it.
_WORDS_OF_HOLE = HOLE_BYTES // _WORD_BYTES - 1


class Segment(NamedTuple):
    """A marker and the bytes that belong to it: content[start:end], the marker itself included."""

    marker: int
    start: int
    end: int


class Scan(NamedTuple):
    """One scan's entropy-coded bytes, content[start:end].

    Attributes:
        reads_zeros_as_flat: whether zero bits are read as the end of a block, as in a surface of one colour, wherever
            they stand; None where the coding is not Huffman's sequential one and this says nothing.
    """

    start: int
    end: int
    reads_zeros_as_flat: bool | None


def segments(content: bytes) -> Iterator[Segment]:
    """The segments from the first to the end of the picture; stops where the structure breaks off."""
    at = len(SOI)
    for _ in range(_MOST_SEGMENTS):
        marker, at = _next_marker(content, at)
        if marker is None or marker == _EOI:
            return
        # A length says at least 2, for itself; libjpeg reads on behind a smaller one, too.
        end = at + max(4, 2 + int.from_bytes(content[at + 2 : at + 4]))
        if end > len(content):
            return
        yield Segment(marker, at, end)
        at = _end_of_scan(content, end) if marker == _SOS else end


def _next_marker(content: bytes, at: int) -> tuple[int | None, int]:
    """The next marker that has a segment, or ends the picture, and where it begins; None behind the last."""
    while (at := content.find(b"\xff", at)) >= 0:
        after = _AFTER_FILL.search(content, at)
        if after is None:
            break
        at, marker = after.start() - 1, after[0][0]
        if marker != 0 and marker not in _WITHOUT_LENGTH:
            return marker, at
        at += 2
    return None, len(content)


def scans(content: bytes) -> Iterator[Scan]:
    """The scans of a JPEG in their order."""
    sequential = False
    first_symbols: dict[int, int] = {}
    for marker, start, end in segments(content):
        if marker in _SOF:
            sequential = marker in _SOF_HUFFMAN_SEQUENTIAL
        elif marker == _DHT:
            first_symbols.update(_first_symbols(content[start + 4 : end]))
        elif marker == _SOS:
            tables = _ac_tables(content[start + 4 : end])
            flat = all(first_symbols.get(table) == _END_OF_BLOCK for table in tables) if sequential else None
            yield Scan(end, _end_of_scan(content, end), flat)


def check_coding(content: bytes) -> None:
    """Refuse a JPEG that is coded in a way that common decoders do not have, or that costs more than any picture does.

    Called before any decoder sees it: simplejpeg writes beyond its buffer where a lossless one cannot be scaled.

    Raises:
        UndecodableError: `unsupported_format` or `corrupt`.
    """
    frame = next((segment for segment in segments(content) if segment.marker in _SOF), None)
    if frame is None:
        raise UndecodableError("truncated" if is_cut_off(content, "JPEG") else "corrupt", "a JPEG without its header")
    if coding := _unsupported_coding(content, frame):
        raise UndecodableError("unsupported_format", coding)
    # Counted at once, and with care only where there may be too many: notes hold other pictures and any bytes.
    if content.count(b"\xff\xda") > MOST_SCANS and sum(1 for _ in scans(content)) > MOST_SCANS:
        raise UndecodableError("corrupt", f"a JPEG of more than {MOST_SCANS} scans")


def _unsupported_coding(content: bytes, frame: Segment) -> str | None:
    if frame.start + 4 >= len(content):
        return None
    precision = content[frame.start + 4]
    if frame.marker not in _SOF_DECODED:
        return f"JPEG of the kind SOF{frame.marker - 0xC0} (lossless or hierarchical)"
    return None if precision == SAMPLE_BITS else f"JPEG of {precision} bits a sample"


def hole(content: bytes) -> str | None:
    """What is to be said of a run of zero bytes that no encoder writes; None where there is none.

    libjpeg hears most damage and says so, but not this one: zeros are a valid code, and what they are read as may come
    out at just the right number of blocks. The shortest code of a Huffman table is all zeros (T.81, C.2); unless it
    stands for the end of a block, zeros are blocks whose every coefficient is the same and none is nought.
    """
    zeros_end = _end_of_zero_words(content)
    first_scan = next((segment.end for segment in segments(content) if segment.marker == _SOS), zeros_end)
    if zeros_end <= first_scan:  # none at all, or in its notes alone
        return None
    for scan in scans(content):
        if scan.reads_zeros_as_flat is not False:
            continue
        at = content.find(bytes(HOLE_BYTES), scan.start, scan.end)
        # Zeros right before the next marker are padding.
        if at >= 0 and content[at : scan.end].strip(b"\0"):
            return f"zero bytes in the middle of its picture, from byte {at:,}"
    return None


def without_oddities(content: bytes) -> bytes:
    """The same picture without what comes before its first scan and decodes nothing: notes, and bytes between segments.

    Only for finding out what else is wrong with it: the JFIF note may decide how its colours are read.
    """
    kept = [SOI]
    for marker, start, end in segments(content):
        if marker not in _NOTES:
            kept.append(content[start:end])
        if marker == _SOS:
            return b"".join([*kept, content[end:]])
    return content


def _end_of_scan(content: bytes, start: int) -> int:
    found = _END_OF_SCAN.search(content, start)
    if found is None:
        return len(content)
    end = found.start()
    while end > start and content[end - 1] == _FILL:
        end -= 1
    return end


def _first_symbols(tables: bytes) -> Iterator[tuple[int, int]]:
    """The symbol of the all-zero code, for each AC table of a segment of Huffman tables (B.2.4.2)."""
    at = 0
    while at + 17 <= len(tables):
        kind, symbols = tables[at], sum(tables[at + 1 : at + 17])
        at += 17
        if kind >> 4 == 1 and symbols and at < len(tables):
            yield kind & 0xF, tables[at]
        at += symbols


def _ac_tables(header: bytes) -> set[int]:
    """The AC tables that a scan's components use (B.2.3)."""
    components = header[0] if header else 0
    return {header[2 * n + 2] & 0xF for n in range(components) if 2 * n + 2 < len(header)}


def _end_of_zero_words(content: bytes) -> int:
    """Where the last run of zero bytes ends that may be a hole; 0 without one. Much faster than looking for bytes."""
    places = np.flatnonzero(np.frombuffer(content, np.uint64, len(content) // _WORD_BYTES) == 0)
    if len(places) < _WORDS_OF_HOLE:
        return 0
    runs = np.flatnonzero(places[_WORDS_OF_HOLE - 1 :] - places[: 1 - _WORDS_OF_HOLE] == _WORDS_OF_HOLE - 1)
    return int(places[runs[-1] + _WORDS_OF_HOLE - 1] + 1) * _WORD_BYTES if len(runs) else 0

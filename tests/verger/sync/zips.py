"""Zips as other programs write them: names in any bytes, whatever system says that it made them."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """An entry, stored as it is.

    Attributes:
        name: the bytes of its name.
        system: what made it (APPNOTE 4.4.2.2): 0 is FAT, 3 Unix, 10 NTFS, 19 macOS.
        flags: bit 11 says that the name is UTF-8.
        extra: its extra fields in the directory.
        content: what it holds.
    """

    name: bytes
    system: int = 3
    flags: int = 0
    extra: bytes = b""
    content: bytes = b"a picture"


def unicode_path(replaced: bytes, name: str, *, version: int = 1) -> bytes:
    """Info-ZIP's Unicode Path (APPNOTE 4.6.9)."""
    content = struct.pack("<BI", version, zlib.crc32(replaced)) + name.encode()
    return struct.pack("<HH", 0x7075, len(content)) + content


def write_entries(file: Path, *entries: Entry) -> Path:
    """A zip of these entries."""
    local, directory = b"", b""
    for entry in entries:
        sums = (zlib.crc32(entry.content), len(entry.content), len(entry.content), len(entry.name))
        directory += struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", entry.system << 8 | 20, 20, entry.flags, 0, 0, 33, *sums, len(entry.extra),
            0, 0, 0, 0, len(local),
        ) + entry.name + entry.extra  # fmt: skip
        local += struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, entry.flags, 0, 0, 33, *sums, 0)
        local += entry.name + entry.content
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(entries), len(entries), len(directory), len(local), 0)
    file.write_bytes(local + directory + end)
    return file

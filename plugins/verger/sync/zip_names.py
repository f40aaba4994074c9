"""The names in a zip, as they were meant: a zip rarely says how its names are written."""

import struct
import zipfile
import zlib
from collections.abc import Iterator

#: APPNOTE 4.4.4, bit 11: the name is UTF-8. Nothing says so when it is not set: the macOS Finder and many programs on
#: Linux write UTF-8 all the same (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT).
_IS_UTF8 = 0x800
#: APPNOTE 4.6.9, Info-ZIP's Unicode Path: version 1, the CRC-32 of the name that it replaces, the name in UTF-8.
_UNICODE_PATH = 0x7075
_PATH_VERSION = 1
_PATH_HEADER = struct.Struct("<BI")
_FIELD_HEADER = struct.Struct("<HH")

#: The systems of "version made by", APPNOTE 4.4.2.2.
_UNIX, _MACINTOSH, _OSX = 3, 7, 19
#: What names of a system are written in that are not UTF-8. Windows writes zips in the code page of its console, in
#: Western Europe 850. That has the letters of 437, the one of APPNOTE, at their places, and where 437 draws boxes it
#: has more letters. Programs on Unix write the bytes of the file system: before UTF-8 that was Latin 1 and its kin.
_OF_UNIX, _OF_WINDOWS, _OF_OLD_MACS = "cp1252", "cp850", "mac_roman"
#: In 850 most small letters lie where 1252 has hardly a letter; most letters of 1252 lie here.
_SMALL_OF_WINDOWS, _LETTERS_OF_UNIX = range(0x80, 0xA0), range(0xC0, 0x100)


def read_name(entry: zipfile.ZipInfo) -> tuple[str, str]:
    """The name of an entry, with `/` between folders, and the code page that it was read as when that is a guess.

    The second is empty where the zip says how the name is written, or where it is UTF-8: text of a code page that is
    valid UTF-8 by accident, and not ASCII, hardly exists. The rule looks at the one entry alone, so the same zip always
    gives the same names.
    """
    name, code_page = _decoded(entry)
    # As old .NET and PowerShell write it against APPNOTE 4.4.17. Libraries that copy an archive forget which system it
    # was made on, so that does not count; the rare file of Unix with a backslash in its name lies a folder deeper.
    return name.replace("\\", "/"), code_page


def _decoded(entry: zipfile.ZipInfo) -> tuple[str, str]:
    # `filename` is what zipfile made of it, without all that follows a NUL.
    name = entry.orig_filename
    if entry.flag_bits & _IS_UTF8:
        return name, ""
    raw = name.encode("cp437")  # as zipfile decoded it: all 256 bytes are characters of that code page
    if (unicode_path := _unicode_path(entry.extra, raw)) is not None:
        return unicode_path, ""
    try:
        return raw.decode(), ""
    except UnicodeDecodeError:
        code_page = _code_page(raw, entry.create_system)
    try:
        return raw.decode(code_page), code_page
    except UnicodeDecodeError:  # five bytes of 1252 are nothing
        return raw.decode("latin-1"), "latin-1"


def _code_page(raw: bytes, system: int) -> str:
    if system == _MACINTOSH:
        return _OF_OLD_MACS
    # A program on Unix that packs what came from Windows keeps the bytes of the names.
    like_windows = any(byte in _SMALL_OF_WINDOWS for byte in raw) and not any(byte in _LETTERS_OF_UNIX for byte in raw)
    return _OF_UNIX if system in {_UNIX, _OSX} and not like_windows else _OF_WINDOWS


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """What the field says, if it is there and speaks of this name: a program that renames may leave it behind."""
    for kind, content in _fields(extra):
        if kind != _UNICODE_PATH or len(content) <= _PATH_HEADER.size:
            continue
        version, checksum = _PATH_HEADER.unpack_from(content)
        if version == _PATH_VERSION and checksum == zlib.crc32(raw):
            try:
                return content[_PATH_HEADER.size :].decode()
            except UnicodeDecodeError:
                continue
    return None


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """The extra fields of an entry; what is cut off is none (APPNOTE 4.5.1)."""
    at = 0
    while at + _FIELD_HEADER.size <= len(extra):
        kind, size = _FIELD_HEADER.unpack_from(extra, at)
        at += _FIELD_HEADER.size
        if at + size <= len(extra):
            yield kind, extra[at : at + size]
        at += size

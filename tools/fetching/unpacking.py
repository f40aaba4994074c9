"""Unpacking the pictures of a zip that nobody vouches for: only pictures, only where they belong, all or none."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
#: The parts that Fruits-360 is divided into.
PARTS = {"training": "Training", "test": "Test", "validation": "Validation"}
LICENCE_NAMES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "readme.md", "README.md", "readme.txt")
LARGEST_FILE = 100_000_000
LARGEST_TOTAL = 30_000_000_000
LARGEST_NOTE = 1_000_000
MOST_NOTES = 5
LONGEST_NAME = 200
#: The compressions that zipfile reads no further than it is asked to; bzip2 and LZMA it expands whole, in memory.
BOUNDED = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class ArchiveError(Exception):
    """The archive cannot be used; the message says why."""


@dataclass(frozen=True)
class Picture:
    """A picture in the archive and where it goes: `<collection>/<part>/<label>/<file>`."""

    member: zipfile.ZipInfo
    place: PurePosixPath


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked.

    Attributes:
        pictures: how many of each `<collection>/<part>`.
        labels: how many labels there are in all of them.
        left_out: files of the archive that are no pictures of a part.
        notes: the archive's own licences and readmes, by name; at most MOST_NOTES, as they are: not fit for a terminal.
    """

    pictures: dict[str, int]
    labels: int
    left_out: int
    notes: dict[str, str]


def unpack(archive: Path, target: Path, parts: Collection[str]) -> Unpacked:
    """Unpack the pictures of some parts to a folder that is made; when it raises, what lies there is not whole.

    Raises:
        ArchiveError: it is no zip, it is damaged, or it holds what an archive of pictures does not.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            pictures = [picture for picture in _pictures(opened) if picture.place.parts[1] in parts]
            notes = _notes(opened, pictures)
            _check(pictures, notes, opened, target)
            for picture in pictures:
                _write(opened, picture, target)
            texts = {note.filename: _read(opened, note).decode("utf-8", "replace") for note in notes}
            left_out = sum(not name.endswith("/") for name in opened.namelist()) - len(pictures)
    except (zipfile.BadZipFile, zlib.error, UnicodeDecodeError, NotImplementedError, RuntimeError, EOFError) as error:
        # BadZipFile also for a wrong CRC; UnicodeDecodeError for names; RuntimeError for encrypted members.
        raise ArchiveError(f"{archive} is damaged or no usable zip ({error}): delete it and fetch it again") from error
    counts = Counter("/".join(picture.place.parts[:2]) for picture in pictures)
    return Unpacked(dict(sorted(counts.items())), len({p.place.parts[2] for p in pictures}), left_out, texts)


def _pictures(archive: zipfile.ZipFile) -> Iterator[Picture]:
    for member in archive.infolist():
        place = place_of(member.filename)
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if place is not None and not member.is_dir() and not is_link:
            yield Picture(member, place)


def place_of(name: str) -> PurePosixPath | None:
    """Where a member goes; None for what is no picture of a part.

    Raises:
        ArchiveError: the name leads somewhere, or cannot be a file's.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ArchiveError(f"the archive holds {name!r}, a name that leads out of its folder: it is not unpacked")
    if path.suffix.lower() not in SUFFIXES or len(path.parts) < 3:  # noqa: PLR2004 - part, label, file
        return None
    *above, part, label, file = path.parts
    if part.lower() not in PARTS or file.startswith("._") or "__MACOSX" in above:
        return None
    if not name.isprintable() or any(len(word.encode()) > LONGEST_NAME for word in path.parts):
        raise ArchiveError(f"the archive holds {name!r}, which no file can be called everywhere: it is not unpacked")
    return PurePosixPath(above[-1] if above else "fruits-360", PARTS[part.lower()], label, file)


def _check(
    pictures: Sequence[Picture], notes: Sequence[zipfile.ZipInfo], archive: zipfile.ZipFile, target: Path
) -> None:
    """Before anything is written: there is something, no two share a place, and it fits."""
    if not pictures:
        top = sorted({name.partition("/")[0] for name in archive.namelist()})[:5]
        raise ArchiveError(
            f"the archive holds no <part>/<label>/<picture> with a part of {', '.join(PARTS.values())} that was asked "
            f"for; at its top: {', '.join(top) or 'nothing'}"
        )
    twice = [place for place, count in Counter(str(picture.place).lower() for picture in pictures).items() if count > 1]
    if twice:
        raise ArchiveError(f"the archive holds {twice[0]!r} twice: it is not unpacked")
    _check_sizes([*(picture.member for picture in pictures), *notes], target)


def _check_sizes(members: Sequence[zipfile.ZipInfo], target: Path) -> None:
    """What is going to be read comes to no more than is allowed and there is room for."""
    unbounded = [member.filename for member in members if member.compress_type not in BOUNDED]
    if unbounded:
        raise ArchiveError(f"{unbounded[0]!r} is compressed in a way that is not read here: pack it with deflate")
    sizes = [member.file_size for member in members]
    if max(sizes) > LARGEST_FILE or sum(sizes) > LARGEST_TOTAL:
        raise ArchiveError(f"the archive unpacks to {sum(sizes):,} bytes, a file of it to {max(sizes):,}: too much")
    free = shutil.disk_usage(target.parent).free
    if sum(sizes) > free:
        raise ArchiveError(f"{sum(sizes):,} bytes are to be unpacked, and {target.parent} has {free:,} left")


def _write(archive: zipfile.ZipFile, picture: Picture, target: Path) -> None:
    file = target / Path(*picture.place.parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_read(archive, picture.member))


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A file of the archive, of the size that was checked.

    One byte more is asked for, so that zipfile comes to the end and compares the CRC. Asked for all, it would expand
    whatever the compressed data holds before it cuts that to the size.
    """
    with archive.open(member) as file:
        return file.read(member.file_size + 1)


def _notes(archive: zipfile.ZipFile, pictures: Sequence[Picture]) -> list[zipfile.ZipInfo]:
    """The licences and readmes in the folders that hold the parts, or above: a few, the topmost first."""
    collections = {PurePosixPath(picture.member.filename).parents[2] for picture in pictures}  # above part and label
    folders = collections | {folder for collection in collections for folder in collection.parents}
    found = [
        member
        for member in archive.infolist()
        if PurePosixPath(member.filename).name in LICENCE_NAMES
        and PurePosixPath(member.filename).parent in folders
        and not member.is_dir()
        and member.file_size <= LARGEST_NOTE
    ]
    return sorted(found, key=lambda member: member.filename.count("/"))[:MOST_NOTES]

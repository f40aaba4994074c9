"""Unpacking the pictures of a zip that nobody vouches for: only pictures, only where they belong, all or none."""

from __future__ import annotations

import shutil
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from verger.storage.file_names import harmful_character, system_part
from verger.sync.zip_file import ArchiveError, ZipArchive, reason_not_to_read
from verger.sync.zip_names import read_name

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Collection, Iterator, Sequence

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
#: The parts that Fruits-360 is divided into.
PARTS = {"training": "Training", "test": "Test", "validation": "Validation"}
LICENCE_NAMES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "readme.md", "README.md", "readme.txt")
LARGEST_TOTAL = 30_000_000_000
LARGEST_NOTE = 1_000_000
MOST_NOTES = 5
LONGEST_NAME = 200


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
        with ZipArchive(archive) as opened:
            entries = opened.entries()
            pictures = [picture for picture in _pictures(entries) if picture.place.parts[1] in parts]
            notes = _notes(entries, pictures)
            _check(pictures, notes, entries, target)
            for picture in pictures:
                _write(opened.read(picture.member), target / Path(*picture.place.parts))
            texts = {name_of(note): opened.read(note).decode("utf-8", "replace") for note in notes}
    except ArchiveError as error:
        raise ArchiveError(f"{archive}: {error}; delete it and fetch another") from error
    counts = Counter("/".join(picture.place.parts[:2]) for picture in pictures)
    labels = {picture.place.parts[2] for picture in pictures}
    return Unpacked(dict(sorted(counts.items())), len(labels), len(entries) - len(pictures), texts)


def name_of(member: zipfile.ZipInfo) -> str:
    """The name of an entry as the sync reads it."""
    return read_name(member)[0]


def _pictures(entries: Sequence[zipfile.ZipInfo]) -> Iterator[Picture]:
    for member in entries:
        place = place_of(name_of(member))
        if place is not None and not _is_link(member):
            yield Picture(member, place)


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


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
    if part.lower() not in PARTS or system_part(name):
        return None
    if harmful_character(name) or any(len(word.encode()) > LONGEST_NAME for word in path.parts):
        raise ArchiveError(f"the archive holds {name!r}, which no file can be called everywhere: it is not unpacked")
    return PurePosixPath(above[-1] if above else "fruits-360", PARTS[part.lower()], label, file)


def _check(
    pictures: Sequence[Picture], notes: Sequence[zipfile.ZipInfo], entries: Sequence[zipfile.ZipInfo], target: Path
) -> None:
    """Before anything is written: there is something, no two share a place, and it fits."""
    if not pictures:
        top = sorted({name.partition("/")[0] for name in (name_of(entry) for entry in entries)})[:5]
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
    for member in members:
        if reason := reason_not_to_read(member):
            raise ArchiveError(f"{name_of(member)!r} in it is {reason}")
    sizes = [member.file_size for member in members]
    if sum(sizes) > LARGEST_TOTAL:
        raise ArchiveError(f"it unpacks to {sum(sizes):,} bytes: too much")
    free = shutil.disk_usage(target.parent).free
    if sum(sizes) > free:
        raise ArchiveError(f"{sum(sizes):,} bytes are to be unpacked, and {target.parent} has {free:,} left")


def _write(content: bytes, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _notes(entries: Sequence[zipfile.ZipInfo], pictures: Sequence[Picture]) -> list[zipfile.ZipInfo]:
    """The licences and readmes in the folders that hold the parts, or above: a few, the topmost first."""
    collections = {PurePosixPath(name_of(picture.member)).parents[2] for picture in pictures}  # above part and label
    folders = collections | {folder for collection in collections for folder in collection.parents}
    found = [
        member
        for member in entries
        if PurePosixPath(name_of(member)).name in LICENCE_NAMES
        and PurePosixPath(name_of(member)).parent in folders
        and reason_not_to_read(member) is None
        and member.file_size <= LARGEST_NOTE
    ]
    return sorted(found, key=lambda member: name_of(member).count("/"))[:MOST_NOTES]

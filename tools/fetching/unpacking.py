"""Unpacking the pictures of a zip that nobody vouches for: only pictures, only where they belong, all or none."""

from __future__ import annotations

import re
import shutil
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from verger.storage.file_names import harmful_character, system_part
from verger.sync.zip_file import ArchiveError, ZipArchive, reason_not_to_read
from verger.sync.zip_names import read_name

from tools.fetching.layouts import ANY

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Collection, Iterator, Sequence

    from tools.fetching.layouts import Variant

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
LICENCE_NAMES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "readme.md", "README.md", "readme.txt")
LARGEST_TOTAL = 30_000_000_000
LARGEST_NOTE = 1_000_000
MOST_NOTES = 5
LONGEST_NAME = 200
#: What lies in a repository, and in GitHub's archive of it, where Git LFS keeps the file itself elsewhere.
#: Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_POINTER = b"version https://git-lfs.github.com/spec/"
_MOST_SHOWN = 5


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
        labels_of: how many there are in each.
        left_out: files of the archive that are no pictures of a part.
        commit: the commit that GitHub made the archive of; empty when it does not say.
        notes: the archive's own licences and readmes, by name; at most MOST_NOTES, as they are: not fit for a terminal.
    """

    pictures: dict[str, int]
    labels: int
    labels_of: dict[str, int]
    left_out: int
    commit: str
    notes: dict[str, str]


def unpack(archive: Path, target: Path, parts: Collection[str], variant: Variant = ANY) -> Unpacked:
    """Unpack the pictures of some parts to a folder that is made; when it raises, what lies there is not whole.

    Raises:
        ArchiveError: it is not a zip, it is damaged, or it holds what an archive of the variant does not.
    """
    try:
        with ZipArchive(archive) as opened:
            entries = opened.entries()
            pictures = [picture for picture in _pictures(entries, variant) if picture.place.parts[1] in parts]
            notes = _notes(entries, pictures)
            _check_parts(pictures, entries, parts, variant)
            _check(pictures, notes, target)
            for picture in pictures:
                _write(picture, opened.read(picture.member), target)
            texts = {name_of(note): opened.read(note).decode("utf-8", "replace") for note in notes}
            commit = opened.comment.decode("latin-1")
    except ArchiveError as error:
        raise ArchiveError(f"{archive}: {error}; delete it and fetch another") from error
    counts = Counter("/".join(picture.place.parts[:2]) for picture in pictures)
    labels: dict[str, set[str]] = {part: set() for part in sorted(counts)}
    for picture in pictures:
        labels["/".join(picture.place.parts[:2])].add(picture.place.parts[2])
    return Unpacked(
        pictures=dict(sorted(counts.items())),
        labels=len(set().union(*labels.values())),
        labels_of={part: len(found) for part, found in labels.items()},
        left_out=len(entries) - len(pictures),
        commit=commit if re.fullmatch(r"[0-9a-f]{40}", commit) else "",
        notes=texts,
    )


def name_of(member: zipfile.ZipInfo) -> str:
    """The name of an entry as the sync reads it."""
    return read_name(member)[0]


def _pictures(entries: Sequence[zipfile.ZipInfo], variant: Variant) -> Iterator[Picture]:
    for member in entries:
        place = place_of(name_of(member), variant)
        if place is not None and not _is_link(member):
            yield Picture(member, place)


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def place_of(name: str, variant: Variant = ANY) -> PurePosixPath | None:
    """Where a member goes; None for what is not a picture of a part.

    Raises:
        ArchiveError: the name leads somewhere, or cannot be a file's.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ArchiveError(f"the archive holds {name!r}, a name that leads out of its folder: it is not unpacked")
    if path.suffix.lower() not in SUFFIXES or system_part(name):
        return None
    place = variant.place(path.parts)
    if place is None:
        return None
    words = (*path.parts, *place.parts)
    if harmful_character(name) or any(len(word.encode()) > LONGEST_NAME for word in words):
        raise ArchiveError(f"the archive holds {name!r}, which no file can be called everywhere: it is not unpacked")
    return place


def _check(pictures: Sequence[Picture], notes: Sequence[zipfile.ZipInfo], target: Path) -> None:
    """Before anything is written: no two share a place, and it fits."""
    twice = [place for place, count in Counter(str(picture.place).lower() for picture in pictures).items() if count > 1]
    if twice:
        raise ArchiveError(f"the archive holds {twice[0]!r} twice: it is not unpacked")
    _check_sizes([*(picture.member for picture in pictures), *notes], target)


def _check_parts(
    pictures: Sequence[Picture], entries: Sequence[zipfile.ZipInfo], parts: Collection[str], variant: Variant
) -> None:
    """Each part of a variant is there, or of an unknown archive at least one."""
    found = {picture.place.parts[1] for picture in pictures}
    missing = [part for part in parts if part not in found]
    if not missing or (found and not variant.name):
        return
    named = f"the variant {variant.name}" if variant.name else "Fruits-360"
    asked = f"{' and no '.join(missing)}" if variant.name else f"part of {', '.join(parts)}"
    raise ArchiveError(
        f"the archive is not laid out as {named}, where pictures are {variant.shape}: it holds no {asked}; "
        f"{_told_of(entries)}"
    )


def _told_of(entries: Sequence[zipfile.ZipInfo]) -> str:
    """What an archive holds instead."""
    names = [name_of(entry) for entry in entries]
    top = sorted({name.partition("/")[0] for name in names})
    pictures = Counter(
        str(PurePosixPath(name).parent) for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES
    )
    told = f"at its top: {', '.join(top[:_MOST_SHOWN]) or 'nothing'}"
    folders = [f"{folder}/ ({count:,})" for folder, count in sorted(pictures.items())]
    more = f" and {len(folders) - _MOST_SHOWN:,} more folders" if len(folders) > _MOST_SHOWN else ""
    return f"{told}; pictures in {', '.join(folders[:_MOST_SHOWN]) or 'no folder'}{more}"


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


def _write(picture: Picture, content: bytes, target: Path) -> None:
    if content.startswith(_POINTER):
        raise ArchiveError(
            f"{name_of(picture.member)!r} in it is a pointer of Git LFS and not the picture itself, as GitHub packs a "
            "repository that uses Git LFS: clone it with git-lfs, and give --url a zip of that"
        )
    file = target / Path(*picture.place.parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _notes(entries: Sequence[zipfile.ZipInfo], pictures: Sequence[Picture]) -> list[zipfile.ZipInfo]:
    """The licences and readmes in the folders that hold the parts, or above: a few, the topmost first."""
    part_folders = {_part_folder(picture) for picture in pictures}
    folders = {folder for part in part_folders for folder in part.parents}
    found = [
        member
        for member in entries
        if PurePosixPath(name_of(member)).name in LICENCE_NAMES
        and PurePosixPath(name_of(member)).parent in folders
        and reason_not_to_read(member) is None
        and member.file_size <= LARGEST_NOTE
    ]
    return sorted(found, key=lambda member: name_of(member).count("/"))[:MOST_NOTES]


def _part_folder(picture: Picture) -> PurePosixPath:
    """The folder of the archive that holds a picture's part."""
    path = PurePosixPath(name_of(picture.member))
    part = picture.place.parts[1].lower()
    return next(folder for folder in path.parents if folder.name.lower() == part)

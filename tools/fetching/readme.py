"""What a readme of Fruits-360 says of its data: version and counts."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tools.fetching.unpacking import Unpacked

_VERSION = re.compile(r"^#*\s*Version:\s*(\d[\d.]{0,30}?)\.?\s*#*\s*$", re.MULTILINE | re.IGNORECASE)
_COUNT = r"\s*:?\s*(\d[\d,. ]{0,15})"
_PICTURES = re.compile(rf"Total number of images{_COUNT}", re.IGNORECASE)
_LABELS = re.compile(rf"Number of classes{_COUNT}", re.IGNORECASE)
_PART = re.compile(rf"(Training|Validation|Test) set size{_COUNT}", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """What a readme says; empty, None or missing where it does not.

    Attributes:
        version: of the data, a date and a number.
        pictures: how many in all.
        labels: how many.
        parts: pictures by part.
    """

    version: str = ""
    pictures: int | None = None
    labels: int | None = None
    parts: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The same as it stands in SOURCE.json."""
        return asdict(self)


def read_said(notes: Mapping[str, str]) -> Said:
    """What the topmost readme says that tells a version."""
    for text in notes.values():
        if version := _VERSION.search(text):
            parts = {part.capitalize(): _number(count) for part, count in _PART.findall(text)}
            return Said(version[1], _first(_PICTURES, text), _first(_LABELS, text), parts)
    return Said()


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return _number(found[1]) if found else None


def _number(text: str) -> int:
    return int(re.sub(r"\D", "", text))


def differences(said: Said, unpacked: Unpacked, wanted: int) -> Iterator[str]:
    """Where the readme of a variant counts otherwise than what was unpacked; it may be behind its data.

    `wanted`: how many parts were asked for.
    """
    parts = {name.rpartition("/")[2]: count for name, count in unpacked.pictures.items()}
    for part, count in said.parts.items():
        if part in parts and parts[part] != count:
            yield f"{part}: {count:,} pictures, and {parts[part]:,} came"
    if wanted < max(len(said.parts), 1):
        return
    came = sum(parts.values())
    if said.pictures is not None and said.pictures != came:
        yield f"{said.pictures:,} pictures in all, and {came:,} came"
    if said.labels is not None and said.labels != unpacked.labels:
        yield f"{said.labels:,} labels, and {unpacked.labels:,} came"

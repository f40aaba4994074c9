"""The files that a run leaves out: each one counted, folders of systems named once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from verger.storage.file_names import printable, system_part

SYSTEM_FOLDER = "in a hidden folder, or one of a system"
SYSTEM_FILE = "a hidden file, or one of a system"

#: So many reasons are told apart, and so many files of each are named, with so many characters.
_MOST_REASONS = 20
_MOST_EXAMPLES = 5
_MOST_CHARACTERS = 300
OTHER_REASONS = "other reasons"


@dataclass(frozen=True)
class LeftOut:
    """A file that is left out, or a folder with all that is in it.

    Attributes:
        name: its name below the source or the images prefix, as it can be printed; a folder's ends in `/`.
        reason: why it is left out.
        key: the key that it has or would have: what the bucket has there, or below, is nothing that the source does not
            have.
        files: how many files that are.
    """

    name: str
    reason: str
    key: str
    files: int = 1

    def to_dict(self) -> dict[str, Any]:
        """How `sync.json` and `left_out.json` hold it (docs/formats.md)."""
        return {"name": self.name, "reason": self.reason, "files": self.files}


def leave_out(name: str, images_prefix: str, reason: str, files: int = 1) -> LeftOut:
    """A file or folder of this name, left out; of a file in a system's folder, that folder."""
    named = (system_part(name) or name) if reason == SYSTEM_FOLDER else name
    return LeftOut(printable(named), reason, images_prefix + named, files)


def system_reason(name: str) -> str | None:
    """Why a file is left out when a system keeps it for itself, or hides it; None for people's own files."""
    part = system_part(name)
    if part is None:
        return None
    return SYSTEM_FOLDER if part.endswith("/") else SYSTEM_FILE


class LeftOutFiles:
    """Collects what is left out; many files of one folder are one entry, so that memory does not grow with them."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], LeftOut] = {}

    def add(self, entry: LeftOut) -> None:
        """Count it."""
        same = (entry.key, entry.reason)
        before = self._found.get(same)
        self._found[same] = entry if before is None else replace(before, files=before.files + entry.files)

    def entries(self) -> list[LeftOut]:
        """What was left out, by name."""
        return sorted(self._found.values(), key=lambda entry: (entry.name, entry.reason))


def count_files(entries: Iterable[LeftOut]) -> int:
    """How many files were left out."""
    return sum(entry.files for entry in entries)


def summarize_left_out(entries: Iterable[LeftOut]) -> dict[str, Any]:
    """What was left out in a few lines: `files`, and `reasons` (list of `reason, files, examples`), most files first.

    It does not grow with what was left out.
    """
    reasons: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if not entry.files:
            continue
        reason = entry.reason if entry.reason in reasons or len(reasons) < _MOST_REASONS else OTHER_REASONS
        found = reasons.setdefault(reason, {"reason": reason, "files": 0, "examples": []})
        found["files"] += entry.files
        if len(found["examples"]) < _MOST_EXAMPLES:
            found["examples"].append(_shortened(entry.name))
    return {
        "files": sum(found["files"] for found in reasons.values()),
        "reasons": sorted(reasons.values(), key=lambda found: (-found["files"], found["reason"])),
    }


def describe_reasons(summary: Mapping[str, Any]) -> list[str]:
    """A summary as lines for a log: one a reason, with the first names."""
    return [
        f"{found['files']:,} left out, {found['reason']}: {', '.join(map(repr, found['examples']))}"
        + (" ..." if found["files"] > len(found["examples"]) else "")
        for found in summary["reasons"]
    ]


def _shortened(name: str) -> str:
    return name if len(name) <= _MOST_CHARACTERS else f"{name[:_MOST_CHARACTERS]}..."

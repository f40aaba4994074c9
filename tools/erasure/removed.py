"""What an erasure removed, place by place."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

PLACES = {
    "pictures": "the pictures themselves",
    "features": "rows with features and thumbnails",
    "rejects": "rows of rejects",
    "unnamed": "files that the feature table does not name",
    "history": "what its log told of erasures",
    "lost": "files that it named and that were gone",
    "earlier": "feature tables of earlier releases",
    "walkthrough": "the notebook's own tables and thumbnails",
    "manifests": "manifests of runs",
    "answers": "answers of runs",
    "run_notes": "what runs and results say of single pictures",
    "matrices": "matrices and lists of rejects",
    "pages": "reports, maps and explorers",
}


class ErasureError(RuntimeError):
    """An erasure could not be finished; one line that says what to do."""


@dataclass
class Removed:
    """What was removed in one place.

    Attributes:
        rows: rows, or for files without rows mentions, that current files held.
        rewritten: current files written again without them.
        deleted: files deleted (old ones after a rewrite, pages that cannot be rewritten).
        versions: old versions deleted.
    """

    rows: int = 0
    rewritten: int = 0
    deleted: int = 0
    versions: int = 0

    def __bool__(self) -> bool:
        """Whether there was anything."""
        return any(asdict(self).values())


class Account:
    """The account of one erasure; it is filled as the work is done.

    Attributes:
        places: what was removed, by the names of PLACES.
        run_again: the slugs of runs whose files were deleted before they counted; empty for rows of several runs.
    """

    def __init__(self) -> None:
        self.places = {name: Removed() for name in PLACES}
        self.run_again: set[str] = set()

    def __getitem__(self, place: str) -> Removed:
        """What was removed in a place."""
        return self.places[place]

    @property
    def found_something(self) -> bool:
        """Whether anything was there to remove."""
        return any(self.places.values())

    @property
    def rows(self) -> int:
        """Rows and mentions of the pictures, wherever they were."""
        return sum(removed.rows for removed in self.places.values())

    def as_json(self) -> dict[str, Any]:
        """The figures by place."""
        return {name: asdict(removed) for name, removed in self.places.items()}

    def table(self) -> str:
        """The figures for people."""
        header = f"{'where':48} {'rows':>9} {'rewritten':>9} {'deleted':>9} {'old versions':>12}"
        lines = [
            f"{PLACES[name]:48} {found.rows:9d} {found.rewritten:9d} {found.deleted:9d} {found.versions:12d}"
            for name, found in self.places.items()
        ]
        return "\n".join([header, *lines])

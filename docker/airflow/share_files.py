"""Makes equal files of two folders one: `share_files.py FOLDER OTHER` replaces those of OTHER by hard links."""

from __future__ import annotations

import filecmp
import os
import sys
from pathlib import Path

#: Smaller ones are not worth a link each.
LEAST_BYTES = 100_000


def share(folder: Path, other: Path) -> int:
    """Link what is equal and lies at the same place; the bytes that are saved."""
    saved = 0
    for path in sorted(other.rglob("*")):
        same = folder / path.relative_to(other)
        if path.is_symlink() or not path.is_file() or not same.is_file() or path.stat().st_size < LEAST_BYTES:
            continue
        if filecmp.cmp(same, path, shallow=False):
            saved += path.stat().st_size
            half_made = path.with_name(f".{path.name}")
            os.link(same, half_made)
            half_made.replace(path)
    return saved


if __name__ == "__main__":
    print(f"shared: {share(Path(sys.argv[1]), Path(sys.argv[2])) / 1e6:.0f} MB")

"""Fetches Fruits-360, the public data set of fruit photographs, as folders that Verger takes.

    tools/fetch_fruits360.py fruits-360 --variant 100x100
    make demo IMAGES=fruits-360/fruits-360-100x100

Without --variant it fetches an older copy of the data set from a bucket in the EU. Runs with any Python 3.11 or later,
without any package. Interrupted, it goes on where it was when it is run again; what comes from GitHub begins anew. The
pictures appear only when all of them are there and right: the archive's length (and --sha256, when given), then the CRC
of every file. What was fetched, from where, its version, its SHA-256 and its licence are kept in SOURCE.json.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

from verger.sync.download import Download, DownloadError, sha256_of
from verger.sync.zip_file import ArchiveError

from tools.fetching.layouts import ANY, VARIANTS, Variant
from tools.fetching.readme import differences, read_said
from tools.fetching.unpacking import Unpacked, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

LICENCE = "CC BY-SA 4.0: name the authors, and share what you make of the pictures under the same licence"
CITATION = "Mihai Oltean, Fruits-360 dataset, https://www.kaggle.com/datasets/moltean/fruits"
SOURCE = "SOURCE.json"
REPORT_SECONDS = 5.0
LICENCE_LINES = 12


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
        output: the folder that is made.
        variant: how the zip is laid out.
        url: the zip.
        sha256: what the zip must have; None to take what comes, and write it down.
        parts: the parts to unpack.
        keep_archive: whether the zip stays.
    """

    output: Path
    variant: Variant
    url: str
    sha256: str | None
    parts: tuple[str, ...]
    keep_archive: bool


def parse_args(arguments: Sequence[str]) -> Asked:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="fetch_fruits360.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = tuple(dict.fromkeys(part for variant in (ANY, *VARIANTS.values()) for part in variant.parts))
    parser.add_argument("output", type=Path, metavar="DIR", help="made; must not hold anything yet")
    parser.add_argument("--variant", choices=tuple(VARIANTS), help="fetch this one, of today, from GitHub")
    parser.add_argument("--url", help=f"the zip; default: the variant's, or {ANY.url}")
    parser.add_argument("--sha256", metavar="HEX", help="refuse a zip that has another one")
    parser.add_argument("--part", action="append", choices=known, help="may be repeated; default: all")
    parser.add_argument("--keep-archive", action="store_true", help="keep the zip beside DIR")
    parsed = parser.parse_args(arguments)
    if parsed.sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", parsed.sha256):
        parser.error(f"--sha256 {parsed.sha256}: give 64 hex digits")
    variant = VARIANTS.get(parsed.variant or "", ANY)
    wanted = tuple(dict.fromkeys(parsed.part or variant.parts))
    if unknown := [part for part in wanted if part not in variant.parts]:
        parser.error(f"--part {unknown[0]}: the variant has {', '.join(variant.parts)}")
    digest = (parsed.sha256 or "").lower() or None
    return Asked(parsed.output, variant, parsed.url or variant.url, digest, wanted, parsed.keep_archive)


def fetch(asked: Asked) -> None:
    """Download, verify, unpack, write SOURCE.json. Raises DownloadError, ArchiveError, OSError."""
    if _is_there(asked):
        return
    print(f"{CITATION}\nlicence: {LICENCE}", flush=True)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    archive = asked.output.with_name(f"{asked.output.name}.zip")
    if not archive.exists():
        download = Download(asked.url, archive, schemes=("https", "http"), report=Progress())
        download.fetch()
        download.settle()
    digest = sha256_of(archive)
    if asked.sha256 and digest != asked.sha256:
        raise DownloadError(f"{archive} has SHA-256 {digest}, not {asked.sha256}: delete it, and fetch it again or not")
    print(f"{archive}: {archive.stat().st_size:,} bytes, SHA-256 {digest}", flush=True)
    staging = asked.output.with_name(f".{asked.output.name}.unpacking")
    shutil.rmtree(staging, ignore_errors=True)
    unpacked = unpack(archive, staging, asked.parts, asked.variant)
    write_source(asked, archive, digest, unpacked, staging)
    staging.rename(asked.output)  # all or nothing
    if not asked.keep_archive:
        archive.unlink()
    tell(asked, unpacked)


def _is_there(asked: Asked) -> bool:
    """Whether an earlier call finished. Raises ArchiveError when DIR holds something else."""
    if not asked.output.exists():
        return False
    if (asked.output / SOURCE).is_file():
        there = _variant_of(asked.output / SOURCE)
        if there != asked.variant.name:
            raise ArchiveError(f"{asked.output} holds another variant ({there or 'none'}): give a folder that is new")
        print(f"{asked.output} is there already; delete it to fetch it again")
        return True
    if any(asked.output.iterdir()):
        raise ArchiveError(f"{asked.output} holds something already: give a folder that is new")
    asked.output.rmdir()
    return False


def _variant_of(source: Path) -> str:
    """Which variant an earlier call fetched; empty for none. Raises ArchiveError when the file does not say."""
    try:
        return str(json.loads(source.read_text("utf-8")).get("variant", ""))
    except (ValueError, AttributeError) as error:
        raise ArchiveError(f"{source} is not what an earlier call wrote: give a folder that is new") from error


class Progress:
    """A line every few seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, have: int, length: int | None) -> None:
        """Tell how far a download is."""
        now = time.monotonic()
        if now - self._said >= REPORT_SECONDS or have == length:
            self._said = now
            whole = f" of {length / 1e6:,.0f} MB, {have / length:.0%}" if length else " MB"
            print(f"  {have / 1e6:,.0f}{whole}", flush=True)


def write_source(asked: Asked, archive: Path, digest: str, unpacked: Unpacked, folder: Path) -> None:
    """Keep beside the pictures where they come from."""
    told = {
        "variant": asked.variant.name,
        "url": asked.url,
        "commit": unpacked.commit,
        "sha256": digest,
        "bytes": archive.stat().st_size,
        "fetched_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "licence": LICENCE,
        "citation": CITATION,
        "pictures": unpacked.pictures,
        "labels": unpacked.labels,
        "labels_of": unpacked.labels_of,
        "readme": read_said(unpacked.notes).as_json(),
        "notes": unpacked.notes,
    }
    (folder / SOURCE).write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8")


def tell(asked: Asked, unpacked: Unpacked) -> None:
    """Say what is there now, and what the archive itself says of its licence."""
    for name, text in unpacked.notes.items():
        lines = [line for line in text.splitlines() if line.strip()][:LICENCE_LINES]
        print(f"\n{printable(name)} says:\n  " + "\n  ".join(map(printable, lines)))
    print()
    for name, count in unpacked.pictures.items():
        print(f"{count:8,d}  {asked.output / name} ({unpacked.labels_of[name]:,} labels)")
    print(f"{unpacked.labels} labels; {unpacked.left_out:,} other files of the archive left out; see {SOURCE}")
    if not asked.variant.name:
        return
    said = read_said(unpacked.notes)
    of_commit = f", commit {unpacked.commit}" if unpacked.commit else ""
    print(f"variant {asked.variant.name}, version {said.version or 'unknown'}{of_commit}")
    for difference in differences(said, unpacked, len(asked.parts)):
        print(f"its readme counts {difference}")


def printable(line: str) -> str:
    """A line that others wrote, without what a terminal would obey: control characters are spelled out."""
    spaced = (" " if character.isspace() else character for character in line)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in spaced
    )


def main() -> int:
    """The program."""
    try:
        fetch(parse_args(sys.argv[1:]))
    except (DownloadError, ArchiveError, OSError) as error:
        print(f"verger: error: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: run again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

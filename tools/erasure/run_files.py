"""Erasing from what runs left behind: manifests, notes, matrices and pages."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from tools.erasure.contents import EXPLORED, cleaner_of
from tools.erasure.removed import ErasureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tools.erasure.objects import Bucket, StoredObject
    from tools.erasure.removed import Account
    from tools.erasure.selection import Selection

#: Files of a result that speak of no single picture: of sums over all of them.
_SUMS = (
    "explained_variance.csv",
    "explained_variance-excel.csv",
    "scree.png",
    "scree.svg",
    "pca_model/model.npz",
    "pca_model/model.json",
)
#: What is left of a killed erasure is found by the files that still name a picture. So these pages go after all others,
#: and tables, which are written again without it, after the pages; the matrix is last.
_NAMING_PAGES = tuple(f"explorer/data/{name}" for name in EXPLORED)
_TABLES = ("run.json", "rejects.csv", "rejects-excel.csv", "matrix.csv", "matrix-excel.csv", "matrix.parquet")
#: Below it notebooks/walkthrough.ipynb has a folder for each of its runs.
_WALKTHROUGHS = "features/walkthrough/"
_SHEET = re.compile(r"explorer/data/sheet-([0-9]+)\.jpg")
_CONTENT_TYPES = {"json": "application/json", "csv": "text/csv"}


def erase_from_runs(bucket: Bucket, selection: Selection, account: Account, *, dry_run: bool) -> None:
    """Clean every manifest, every file of answers and every JSON file under `runs/`."""
    for key, versions in by_key(bucket.objects("runs/")).items():
        place = "run_notes" if key.endswith(".json") else "answers" if "/answers/" in key else "manifests"
        _clean(bucket, key, versions, selection, account, place=place, dry_run=dry_run)


def erase_from_results(bucket: Bucket, selection: Selection, account: Account, *, dry_run: bool) -> None:
    """Clean the tables of every result that names a selected picture, and delete its pages.

    Sheets of thumbnails do not say who is in them: those that an earlier publishing left behind go in any case.
    """
    results: dict[str, dict[str, list[StoredObject]]] = defaultdict(dict)
    for key, versions in by_key(bucket.objects("results/")).items():
        folder, slash, name = key.removeprefix("results/").partition("/")
        if slash and name:
            results[f"results/{folder}/"][name] = versions
    for folder, files in results.items():
        tables = [name for name in _TABLES if name in files]
        naming = [*tables, *(name for name in _NAMING_PAGES if name in files)]
        if not any(_selected(bucket, stored, selection) for name in naming for stored in files[name]):
            delete_whole(bucket, _left_sheets(bucket, files), account, "pages", dry_run=dry_run)
            continue
        others = [name for name in files if name not in {*_SUMS, *_TABLES, *_NAMING_PAGES}]
        pages = [files[name] for name in (*others, *_NAMING_PAGES) if name in files]
        delete_whole(bucket, pages, account, "pages", dry_run=dry_run)
        for name in tables:
            place = "run_notes" if name == "run.json" else "matrices"
            _clean(bucket, folder + name, files[name], selection, account, place=place, dry_run=dry_run)


def _left_sheets(bucket: Bucket, files: Mapping[str, Sequence[StoredObject]]) -> list[list[StoredObject]]:
    """Sheets of thumbnails that the explorer of a result does not show: more than it counts, and old versions."""
    shown = 0
    for stored in files.get("explorer/data/about.json", ()):
        content = bucket.read(stored) if stored.current and not stored.marker else None
        shown = json.loads(content)["sheets"]["count"] if content else shown
    sheets = ((_SHEET.fullmatch(name), versions) for name, versions in files.items())
    left = (
        [stored for stored in versions if not stored.current or int(sheet[1]) >= shown]
        for sheet, versions in sheets
        if sheet
    )
    return [versions for versions in left if versions]


def erase_walkthroughs(bucket: Bucket, account: Account, *, dry_run: bool) -> None:
    """Delete what the notebook left of its runs, whoever is in it: tables, manifests, thumbnails.

    A walkthrough that ends clears its folder itself, so what is there was left behind, and is wanted by nobody.
    """
    delete_whole(bucket, list(by_key(bucket.objects(_WALKTHROUGHS)).values()), account, "walkthrough", dry_run=dry_run)


def by_key(objects: Iterable[StoredObject]) -> dict[str, list[StoredObject]]:
    """Versions by key."""
    found: dict[str, list[StoredObject]] = defaultdict(list)
    for stored in objects:
        found[stored.key].append(stored)
    return found


def delete_whole(
    bucket: Bucket, files: Sequence[Sequence[StoredObject]], account: Account, place: str, *, dry_run: bool
) -> None:
    """Delete files of a place that are not written again, each with its versions."""
    for versions in files:
        current = sum(stored.current and not stored.marker for stored in versions)
        account[place].deleted += current
        account[place].versions += sum(not stored.marker for stored in versions) - current
        if not dry_run:
            bucket.delete(versions)


def _selected(bucket: Bucket, stored: StoredObject, selection: Selection) -> int:
    """How many rows or mentions of selected pictures a version holds."""
    clean = cleaner_of(stored.key)
    content = None if clean is None or stored.marker else bucket.read(stored)
    if clean is None or not content:
        return 0
    try:
        return clean(content, selection)[0]
    except ValueError as error:  # pyarrow's and json's errors are
        raise ErasureError(
            f"s3://{bucket.name}/{stored.key} cannot be read ({error}): delete it, then run again"
        ) from error


def _clean(
    bucket: Bucket,
    key: str,
    versions: Sequence[StoredObject],
    selection: Selection,
    account: Account,
    *,
    place: str,
    dry_run: bool,
) -> None:
    """Write the current version again without the selected pictures; delete the old versions that hold them."""
    clean = cleaner_of(key)
    if clean is None:
        return
    dirty = [stored for stored in versions if _selected(bucket, stored, selection)]
    for stored in dirty:
        if not stored.current:
            continue
        rows, cleaned = clean(bucket.read(stored) or b"", selection)
        account[place].rows += rows
        account[place].rewritten += 1
        if not dry_run:
            bucket.put(key, cleaned, _CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream"))
    # Where versions are kept, what was current until now is an old version too.
    old = [stored for stored in dirty if stored.version]
    account[place].versions += len(old)
    if old and not dry_run:
        # Where versions are suspended, the new file has taken the place of the old one, and its version id.
        still_old = {stored.version for stored in bucket.objects(key) if stored.key == key and not stored.current}
        bucket.delete(stored for stored in old if stored.version in still_old)

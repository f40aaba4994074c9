"""Erasing from the feature table of one model: rows by their image's id, then every file and log that held them.

Unlike a run's own upkeep, an erasure does not wait: what the table no longer names goes at once, so a step that is
reading it just then fails and has to be run again. So do files that no commit names yet: a step that is about to name
them sees that they are gone, and where its commit was faster than that look, they are taken out of the table again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.delta_table import live_files, open_table
from verger_rules.layout import table_folder
from verger_rules.schemas import FEATURIZED
from verger_rules.table_erasure import (
    delete_images,
    keeps_its_log,
    purge,
    run_of,
    take_out_lost_files,
    tells_of_deletion,
)

from tools.erasure.objects import AT_ONCE, table_place
from tools.erasure.removed import ErasureError
from tools.erasure.run_files import by_key, delete_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verger_rules.delta_table import TableFile, TablePlace

    from tools.erasure.objects import Bucket, StoredObject
    from tools.erasure.removed import Account
    from tools.erasure.selection import Selection

TRIES = 5
_LOG = "_delta_log/"
#: What earlier releases wrote below a table's folder; nobody reads it any more.
_EARLIER = ("run=", "_commits/")


@dataclass(frozen=True)
class FoundFile:
    """One version of a file of the table.

    Attributes:
        live: what the table says of it; None for a file that it does not name, and for an old version.
        rows: how many it holds; None when it cannot be read.
        selected: the ids of the selected images in it, one a row.
    """

    stored: StoredObject
    live: TableFile | None
    rows: int | None
    selected: Sequence[str]

    @property
    def dirty(self) -> bool:
        """Whether it must go: it holds a selected picture, or nobody can tell."""
        return self.rows is None or bool(self.selected)


@dataclass(frozen=True)
class FoundTable:
    """A model's table as it lies in the bucket.

    Attributes:
        files: every version of every file, named by the table or not.
        lost: files that the table names and that are not there.
        telling: versions of the log's files that tell of an erasure.
        forgetful: whether the table was left without a history by a killed erasure.
        old_versions: all versions below the folder that are no longer current.
    """

    files: Sequence[FoundFile]
    lost: Sequence[TableFile]
    telling: Sequence[StoredObject]
    forgetful: bool
    old_versions: Sequence[StoredObject]

    @property
    def live(self) -> list[FoundFile]:
        """The files that the table names."""
        return [file for file in self.files if file.live]

    @property
    def unnamed(self) -> list[FoundFile]:
        """Current files that it does not name."""
        return [file for file in self.files if file.stored.current and not file.live]

    @property
    def dirty(self) -> bool:
        """Whether something of the selected pictures is anywhere in it, or of those that were erased before."""
        return any(file.dirty for file in self.files) or bool(self.telling) or self.forgetful


def fingerprints(bucket: Bucket) -> list[str]:
    """The models that have a feature table, or had one whose old versions are there."""
    keys = [stored.key for root in ("features", "rejects") for stored in bucket.objects(f"{root}/model=")]
    return sorted({key.split("/")[1].removeprefix("model=") for key in keys})


def erase_from_table(
    bucket: Bucket, fingerprint: str, selection: Selection, account: Account, *, dry_run: bool
) -> None:
    """Erase from one model's table, and delete what earlier releases left beside it, whoever is in it.

    Raises:
        ErasureError: a file that the table names cannot be read, or the table kept changing.
        TableError: the table cannot be read or changed.
    """
    folder = table_folder(S3Address(bucket.name, "features"), fingerprint)
    earlier = [f"{folder.key}/{name}" for name in _EARLIER] + [f"rejects/model={fingerprint}/"]
    for prefix in earlier:
        delete_whole(bucket, list(by_key(bucket.objects(prefix)).values()), account, "earlier", dry_run=dry_run)
    place = table_place(bucket, folder)
    found = look_at(bucket, place, selection)
    _count(found, account)
    if dry_run:
        return
    if ids := {name for file in found.live for name in file.selected}:
        delete_images(place, ids)
    if found.dirty:
        _purge(bucket, place, found)
    account.run_again.update(_take_out_lost_files(bucket, place))


def look_at(bucket: Bucket, place: TablePlace, selection: Selection) -> FoundTable:
    """Read of every version of every file which rows are selected, and what the log tells of erasures."""
    table = open_table(place)
    prefix = f"{place.folder.key}/"
    live = {prefix + file.name: file for file in live_files(table)}
    objects = [stored for stored in bucket.objects(prefix) if not stored.key[len(prefix) :].startswith(_EARLIER)]
    contents = [stored for stored in objects if not stored.marker]
    entries = [stored for stored in contents if stored.key.startswith(prefix + _LOG) and stored.key.endswith(".json")]
    of_files = [
        stored for stored in contents if stored.key.endswith(".parquet") and not stored.key.startswith(prefix + _LOG)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        files = list(pool.map(lambda stored: _look_into(bucket, stored, live, selection), of_files))
        told = list(pool.map(lambda stored: tells_of_deletion(bucket.read(stored) or b""), entries))
    there = {stored.key for stored in of_files if stored.current}
    return FoundTable(
        files=files,
        lost=[file for key, file in live.items() if key not in there],
        telling=[stored for stored, tells in zip(entries, told, strict=True) if tells],
        forgetful=table is not None and not keeps_its_log(table),
        old_versions=[stored for stored in contents if not stored.current],
    )


def _look_into(bucket: Bucket, stored: StoredObject, live: Mapping[str, TableFile], selection: Selection) -> FoundFile:
    """Read who is in a file, and nothing else of it."""
    named = live.get(stored.key) if stored.current else None
    try:
        with bucket.open(stored) as opened:
            table = pq.ParquetFile(opened, pre_buffer=True).read(columns=["path", "label", "image_id"])
        # A file that the library wrote holds views of texts.
        path, label, image_id = (table[name].cast(pa.string()) for name in ("path", "label", "image_id"))
    except (pa.ArrowInvalid, KeyError) as error:
        if named:
            raise ErasureError(
                f"s3://{bucket.name}/{stored.key} is no file with path, label and image_id, though the table names it: "
                f"nothing was erased from this table ({error})"
            ) from error
        return FoundFile(stored, named, None, ())
    return FoundFile(stored, named, table.num_rows, image_id.filter(selection.mask(path, label)).to_pylist())


def _purge(bucket: Bucket, place: TablePlace, found: FoundTable) -> None:
    """Delete what the table does not name, its history, and every old version of anything of it."""
    if open_table(place) is None:
        bucket.delete(file.stored for file in found.unnamed)
    purge(place)
    if not bucket.versioned:
        return
    over = [stored for stored in bucket.objects(f"{place.folder.key}/") if stored.marker or not stored.current]
    # Without its delete marker, the version below would count again.
    bucket.delete(stored for stored in over if not stored.marker)
    bucket.delete(stored for stored in over if stored.marker)


def _take_out_lost_files(bucket: Bucket, place: TablePlace) -> set[str]:
    """Have the table name only files that are there; the slugs of the runs that wrote those which were not.

    A file that was merged from several runs' gives an empty slug.
    """
    runs: set[str] = set()
    prefix = f"{place.folder.key}/"
    for _ in range(TRIES):
        named = live_files(open_table(place))
        there = {stored.key for stored in bucket.objects(prefix) if stored.current and not stored.marker}
        lost = [file for file in named if prefix + file.name not in there]
        if not lost:
            return runs
        runs.update(run_of(file) or "" for file in lost)
        take_out_lost_files(place)
    raise ErasureError(f"the table {place.folder.uri} kept changing: wait until no run is at work, run again")


def _count(found: FoundTable, account: Account) -> None:
    """Count rows as readers saw them, and every file that goes."""
    for file in found.live:
        if file.live and file.selected:
            removed = account["features" if file.live.outcome == FEATURIZED else "rejects"]
            removed.rows += len(file.selected)
            removed.rewritten += len(file.selected) != file.rows
            removed.deleted += 1
    account["lost"].deleted += len(found.lost)
    account["history"].deleted += len(found.telling)
    account["history"].rewritten += found.forgetful
    if found.dirty:
        account["unnamed"].deleted += len(found.unnamed)
        account["unnamed"].versions += len(found.old_versions)

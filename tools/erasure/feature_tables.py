"""Erasing from the feature table of one model: a rewrite of the records that hold a picture, then real deletion.

Unlike a compaction, an erasure does not wait: the old files and records go at once, so a step that is reading them just
then fails and has to be run again. So do files that no record names yet: a step that is about to name them sees that
they are gone, and where its record was faster than that look, the record is rewritten without them.
"""

from __future__ import annotations

import io
import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from spark_jobs.decoder_column import stored_columns, with_decoder
from spark_jobs.row_precedence import Flags, winning_rows
from verger_rules.layout import run_slug

from tools.erasure.contents import parquet_bytes
from tools.erasure.objects import AT_ONCE
from tools.erasure.removed import ErasureError
from tools.erasure.run_files import by_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from verger.storage.layout import BucketLayout

    from tools.erasure.objects import Bucket, StoredObject
    from tools.erasure.removed import Account
    from tools.erasure.selection import Selection

#: The run id of all rewrites of a table (docs/formats.md).
REWRITES = "verger-rewrite"
TABLES = ("features", "rejects")
TRIES = 5
#: A record's name: the slug of its run and the number of its chunk.
_REWRITE_NAME = re.compile(rf"{re.escape(run_slug(REWRITES))}\.([0-9]{{5,}})")
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Record = dict[str, Any]


@dataclass(frozen=True)
class ScannedFile:
    """What one version of a file of the table holds.

    Attributes:
        keys: columns path, etag and decoder; None when it cannot be read.
        selected: which rows are to be erased.
    """

    stored: StoredObject
    keys: pa.Table | None
    selected: Flags

    @property
    def dirty(self) -> bool:
        """Whether it must go: it holds a selected picture, or nobody can tell."""
        return self.keys is None or bool(self.selected.any())


@dataclass(frozen=True)
class ModelTable:
    """The feature table of one model as it lies in the bucket.

    Attributes:
        records: commit records by name, replaced ones too.
        files: current files by key.
        old: old versions of files.
        commits: all versions of the commit records, by key.
    """

    bucket: Bucket
    layout: BucketLayout
    fingerprint: str
    records: Mapping[str, Record]
    files: Mapping[str, ScannedFile]
    old: Sequence[ScannedFile]
    commits: Mapping[str, Sequence[StoredObject]]

    def prefix(self, table: str) -> str:
        """The prefix that file names of a table are relative to."""
        layout = self.layout
        return (
            layout.features_prefix(self.fingerprint) if table == "features" else layout.rejects_prefix(self.fingerprint)
        )

    def keys_of(self, record: Record) -> list[tuple[str, str]]:
        """The files that a record names: table and key, features first."""
        return [(table, self.prefix(table) + name) for table in TABLES for name in record[table]["files"]]

    def visible(self) -> list[str]:
        """The names of the records that count, earliest first."""
        replaced = {name for record in self.records.values() for name in record["replaces"]}
        names = [name for name in self.records if name not in replaced]
        return sorted(names, key=lambda name: (self.records[name]["committed_at"], name))

    def gone(self, record: Record) -> bool:
        """Whether a file that a record names is not there: one that was deleted just before it was committed."""
        return any(key not in self.files for _, key in self.keys_of(record))


def fingerprints(bucket: Bucket) -> list[str]:
    """The models that have a feature table, or had one whose old versions are there."""
    keys = [stored.key for table in TABLES for stored in bucket.objects(f"{table}/model=")]
    return sorted({key.split("/")[1].removeprefix("model=") for key in keys})


def erase_from_table(
    bucket: Bucket, layout: BucketLayout, fingerprint: str, selection: Selection, account: Account, *, dry_run: bool
) -> None:
    """Erase from one model's table.

    Raises:
        ErasureError: a file that counts cannot be read, or the table kept changing.
    """
    for _ in range(TRIES):
        table = read_model_table(bucket, layout, fingerprint, selection)
        record, new_files = plan_rewrite(table)
        if record is not None and not dry_run and not _commit(table, record, new_files):
            continue
        _account(table, account, new_files)
        if dry_run:
            return
        _delete_dirty(table)
        if not _named_meanwhile(table):
            return
    raise ErasureError(f"the table of model {fingerprint} kept changing: wait until no run is at work, run again")


def _commit(table: ModelTable, record: Record, new_files: Mapping[str, bytes]) -> bool:
    """Write a rewrite's files, then its record; whether it counts, or another rewrite was faster."""
    for key, content in new_files.items():
        table.bucket.put(key, content)
    name = f"{run_slug(REWRITES)}.{record['chunk']:05d}"
    content = json.dumps(record, indent=1).encode()
    return table.bucket.put_once(f"{table.layout.commits_prefix(table.fingerprint)}{name}.json", content)


def read_model_table(bucket: Bucket, layout: BucketLayout, fingerprint: str, selection: Selection) -> ModelTable:
    """Read the records, and of every version of every file which rows are selected."""
    commits_prefix = layout.commits_prefix(fingerprint)
    commits = by_key(bucket.objects(commits_prefix))
    records = _read_records(bucket, commits_prefix, commits)
    prefixes = (layout.features_prefix(fingerprint), layout.rejects_prefix(fingerprint))
    stored_files = [
        stored
        for prefix in prefixes
        for stored in bucket.objects(prefix)
        if stored.key.endswith(".parquet") and not stored.marker
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        scanned = list(pool.map(lambda stored: scan(bucket, stored, selection), stored_files))
    return ModelTable(
        bucket,
        layout,
        fingerprint,
        records,
        {file.stored.key: file for file in scanned if file.stored.current},
        [file for file in scanned if not file.stored.current],
        commits,
    )


def _read_records(
    bucket: Bucket, prefix: str, commits: Mapping[str, Sequence[StoredObject]], known: Iterable[str] = ()
) -> dict[str, Record]:
    """The current commit records by name, but for those that are known."""
    records = {}
    for key, versions in commits.items():
        name = key.removeprefix(prefix).removesuffix(".json")
        current = next((stored for stored in versions if stored.current and not stored.marker), None)
        content = bucket.read(current) if current and key.endswith(".json") and name not in known else None
        if content:
            records[name] = json.loads(content)
    return records


def scan(bucket: Bucket, stored: StoredObject, selection: Selection) -> ScannedFile:
    """Read who is in a file, and nothing else of it."""
    try:
        with bucket.open(stored) as opened:
            file = pq.ParquetFile(opened, pre_buffer=True)
            found = file.read(columns=stored_columns(["path", "etag", "decoder", "label"], file.schema_arrow))
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return ScannedFile(stored, None, np.zeros(0, np.bool_))
    table = with_decoder(found)
    mask = selection.mask(table["path"], table["label"]).combine_chunks()
    return ScannedFile(
        stored, table.select(["path", "etag", "decoder"]), mask.to_numpy(zero_copy_only=False).astype(np.bool_)
    )


def plan_rewrite(table: ModelTable) -> tuple[Record | None, dict[str, bytes]]:
    """The record that replaces those that hold a selected picture, and its new files; None when none does.

    It also replaces records that name a file that is gone: without them readers can read the table again, and the
    images of that file are computed anew.
    """
    visible = table.visible()
    named = [(name, *file) for name in visible for file in table.keys_of(table.records[name])]
    files = [file for file in named if file[2] in table.files]
    for _, _, key in files:
        if table.files[key].keys is None:
            raise ErasureError(f"{key} is no Parquet, though a commit record names it: nothing was erased")
    chosen = {name for name, _, key in files if table.files[key].dirty}
    chosen |= {name for name in visible if table.gone(table.records[name])}
    if not chosen:
        return None, {}
    kept = _kept_rows(table, files)
    generation = next_generation(table.records.values())
    record = _record(table, chosen, generation)
    new_files: dict[str, bytes] = {}
    for (name, kind, key), keep in zip(files, kept, strict=True):
        if name not in chosen or not keep.any():
            continue
        file_name = key.removeprefix(table.prefix(kind))
        if not keep.all():
            file_name = f"run={run_slug(REWRITES)}/chunk={generation}/part-{uuid.uuid4().hex}.parquet"
            new_files[table.prefix(kind) + file_name] = _rows_of(table, key, keep)
        record[kind]["files"].append(file_name)
        record[kind]["rows"] += int(keep.sum())
    return record, new_files


def _kept_rows(table: ModelTable, files: Sequence[tuple[str, str, str]]) -> list[Flags]:
    """Which rows of each file a rewrite carries on: not selected, and beaten by no other row, whoever decoded them."""
    if not files:
        return []
    scanned = [table.files[key] for _, _, key in files]
    lengths = [len(file.selected) for file in scanned]
    keys = pa.concat_tables([file.keys for file in scanned])
    is_features = np.repeat([kind == "features" for _, kind, _ in files], lengths)
    wins = winning_rows(keys, is_features) & ~np.concatenate([file.selected for file in scanned])
    return np.split(wins, np.cumsum(lengths)[:-1])


def _record(table: ModelTable, chosen: set[str], generation: int) -> Record:
    """A commit record without files yet; see docs/formats.md for what it replaces and when it says it was made."""
    earlier = {name for chosen_name in chosen for name in table.records[chosen_name]["replaces"]}
    return {
        "format": 1,
        "run_id": REWRITES,
        "model_fingerprint": table.fingerprint,
        "chunk": generation,
        "committed_at": commit_time(datetime.now(UTC), table.records.values()),
        "features": {"rows": 0, "files": []},
        "rejects": {"rows": 0, "files": []},
        "replaces": sorted(chosen | (earlier & table.records.keys())),
    }


def next_generation(records: Iterable[Record]) -> int:
    """The chunk number of the next rewrite: of no rewrite that is there, nor of one that was replaced."""
    found = list(records)
    numbers = [record["chunk"] for record in found if record["run_id"] == REWRITES]
    replaced = [_REWRITE_NAME.fullmatch(name) for record in found for name in record["replaces"]]
    return max([*numbers, *(int(name[1]) for name in replaced if name)], default=-1) + 1


def commit_time(now: datetime, records: Iterable[Record]) -> str:
    """Now, but later than every record."""
    latest = max((record["committed_at"] for record in records), default="")
    stamp = now.strftime(_TIME)
    if stamp > latest:
        return stamp
    return (datetime.strptime(latest, _TIME).replace(tzinfo=UTC) + timedelta(seconds=1)).strftime(_TIME)


def _rows_of(table: ModelTable, key: str, keep: Flags) -> bytes:
    content = table.bucket.read(table.files[key].stored)
    if content is None:
        raise ErasureError(f"{key} was deleted meanwhile: run again")
    return parquet_bytes(pq.read_table(io.BytesIO(content)).filter(pa.array(keep)))


def _account(table: ModelTable, account: Account, new_files: Mapping[str, bytes]) -> None:
    """Count rows as readers saw them, every file that goes, and the records that named a file that is gone."""
    account["records"].rewritten += sum(table.gone(table.records[name]) for name in table.visible())
    named = {key for name in table.visible() for _, key in table.keys_of(table.records[name])}
    for kind in TABLES:
        prefix, removed = table.prefix(kind), account[kind]
        mine = [file for key, file in table.files.items() if key.startswith(prefix)]
        removed.rows += sum(int(file.selected.sum()) for file in mine if file.stored.key in named)
        removed.rewritten += sum(key.startswith(prefix) for key in new_files)
        removed.deleted += sum(file.dirty for file in mine)
        removed.versions += sum(file.dirty for file in table.old if file.stored.key.startswith(prefix))


def _delete_dirty(table: ModelTable) -> None:
    """Delete the records that name a dirty file or one that is gone, then every dirty file with its versions.

    The rewrite replaced them all, so that they no longer count.
    """
    dirty = _dirty_keys(table)
    prefix = table.layout.commits_prefix(table.fingerprint)
    over = [
        name
        for name, record in table.records.items()
        if table.gone(record) or dirty & {key for _, key in table.keys_of(record)}
    ]
    table.bucket.delete(stored for name in over for stored in table.commits[f"{prefix}{name}.json"])
    old = [file.stored for file in table.old if file.dirty or file.stored.key in dirty]
    table.bucket.delete([*old, *(table.files[key].stored for key in dirty)])


def _named_meanwhile(table: ModelTable) -> bool:
    """Whether a record that came in since the table was read names a file that has just been deleted."""
    prefix = table.layout.commits_prefix(table.fingerprint)
    new = _read_records(table.bucket, prefix, by_key(table.bucket.objects(prefix)), table.records.keys())
    dirty = _dirty_keys(table)
    return any(key in dirty for record in new.values() for _, key in table.keys_of(record))


def _dirty_keys(table: ModelTable) -> set[str]:
    return {key for key, file in table.files.items() if file.dirty}

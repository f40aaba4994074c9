"""Commit records: which chunks of the feature table count."""

import json
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from spark_jobs.job_errors import MissingObjectError, RefusedError
from spark_jobs.layout import TableLayout, commit_name, run_slug
from spark_jobs.object_store import StoreSettings, list_keys, read_bytes, write_json, write_once
from spark_jobs.s3_address import S3Address

FORMAT = 1
READS_AT_ONCE = 16
LISTINGS = 5
CHUNK_NUMBER = re.compile("[0-9]{5,}")


@dataclass(frozen=True)
class TableFiles:
    """The rows a commit adds to one table, and the files that hold them (relative to the table of the model)."""

    rows: int
    files: tuple[str, ...]


@dataclass(frozen=True)
class CommitRecord:
    """One chunk that counts; the fields are those of docs/formats.md."""

    run_id: str
    model_fingerprint: str
    chunk: int
    committed_at: str
    features: TableFiles
    rejects: TableFiles
    replaces: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The record's name, as `replaces` gives it."""
        return commit_name(run_slug(self.run_id), self.chunk)


def to_json(record: CommitRecord) -> dict[str, Any]:
    """The record as it is stored."""
    return {"format": FORMAT, **asdict(record)}


def from_json(content: bytes, name: str) -> CommitRecord:
    """Parse a stored record.

    Raises:
        RefusedError: it is not one; `name` is where it came from.
    """
    try:
        fields = json.loads(content)
        if fields["format"] != FORMAT:
            raise RefusedError(f"{name} has format {fields['format']!r}, this version reads {FORMAT}")
        return CommitRecord(
            run_id=str(fields["run_id"]),
            model_fingerprint=str(fields["model_fingerprint"]),
            chunk=int(fields["chunk"]),
            committed_at=str(fields["committed_at"]),
            features=_table_files(fields["features"]),
            rejects=_table_files(fields["rejects"]),
            replaces=tuple(str(earlier) for earlier in fields.get("replaces", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(f"{name} is no commit record: {type(error).__name__} {error}") from error


def _table_files(fields: dict[str, Any]) -> TableFiles:
    return TableFiles(int(fields["rows"]), tuple(str(file) for file in fields["files"]))


def visible(records: Sequence[CommitRecord]) -> list[CommitRecord]:
    """The records that count, earliest first: those that no other record replaces."""
    replaced = {name for record in records for name in record.replaces}
    kept = [record for record in records if record.name not in replaced]
    return sorted(kept, key=lambda record: (record.committed_at, record.name))


def read_commits(settings: StoreSettings, layout: TableLayout) -> list[CommitRecord]:
    """All records of a model's table, replaced ones too.

    Raises:
        RefusedError: one is no record.
        StepFailedError: the store does not give them.
    """
    for _ in range(LISTINGS - 1):
        try:
            return _list_and_read(settings, layout)
        except MissingObjectError:
            # Replaced and deleted since it was listed; the record that holds its rows may not have been in that list.
            continue
    return _list_and_read(settings, layout)


def _list_and_read(settings: StoreSettings, layout: TableLayout) -> list[CommitRecord]:
    keys = [key for key in list_keys(settings, layout.commits) if key.endswith(".json")]
    addresses = [S3Address(layout.commits.bucket, key) for key in keys]
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        contents = pool.map(lambda address: read_bytes(settings, address), addresses)
        return [from_json(content, at.uri) for content, at in zip(contents, addresses, strict=True)]


def write_commit(settings: StoreSettings, layout: TableLayout, record: CommitRecord) -> None:
    """Make a chunk count; its files must be there already."""
    write_json(settings, layout.commit(run_slug(record.run_id), record.chunk), to_json(record))


def commit_once(settings: StoreSettings, layout: TableLayout, record: CommitRecord) -> bool:
    """Make a rewrite count, unless a record of its name is there already; whether it does."""
    content = json.dumps(to_json(record), ensure_ascii=False, indent=1).encode()
    return write_once(settings, layout.commit(run_slug(record.run_id), record.chunk), content)


def next_chunk(records: Sequence[CommitRecord], run_id: str) -> int:
    """The number of the next chunk of a run: the one that a killed attempt may have begun.

    The number of a replaced record stays taken when the record itself has been deleted: what replaced it still names
    it, so a new record of that name would not count.
    """
    names = {name for record in records for name in (record.name, *record.replaces)}
    return max(_chunks_of(run_slug(run_id), names), default=-1) + 1


def _chunks_of(slug: str, names: Iterable[str]) -> list[int]:
    """The chunk numbers in those names of records that are a run's."""
    parts = [name.rpartition(".") for name in names]
    return [int(number) for named, _, number in parts if named == slug and CHUNK_NUMBER.fullmatch(number)]

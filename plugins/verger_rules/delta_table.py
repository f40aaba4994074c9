"""The feature table of one model: a Delta table that its owners write without a JVM and without a lock service.

Delta Lake's log is a folder of numbered JSON files, each put with a conditional PUT; a reader sees the files that the
log names and no other (https://github.com/delta-io/delta/blob/master/PROTOCOL.md).
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from verger_rules.addresses import S3Address
from verger_rules.schemas import OUTCOME, TABLE
from verger_rules.table_error import TableError

#: A file of the table: what a worker writes of its pictures (1,024 of them are 7 MB), and what small files are merged
#: to. Larger ones would have to be rewritten by one machine at the end of each large run.
FILE_BYTES = 8 * 2**20
#: Below it a file counts as small.
SMALL_BYTES = FILE_BYTES // 2
#: Versions of the log between two checkpoints, and so the most JSON files that opening a table reads.
CHECKPOINT_VERSIONS = 20
#: Versions of the log between two looks for files that nobody names.
VACUUM_VERSIONS = 100
_LOG_DAYS = 30
#: What may pass is tried again by time, not by number: ten attempts were over within half a minute.
_PATIENCE: Mapping[str, str] = {"max_retries": "1000", "retry_timeout": "180s"}
#: The property that says for how long the log tells of earlier versions.
LOG_RETENTION = "delta.logRetentionDuration"
#: Seconds before a change of the table that met another one is tried again.
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)

PROPERTIES: Mapping[str, str] = {
    # Statistics would put the smallest and the largest path of each file into the log.
    "delta.dataSkippingNumIndexedCols": "0",
    "delta.targetFileSize": str(FILE_BYTES),
    "delta.checkpointInterval": str(CHECKPOINT_VERSIONS),
    LOG_RETENTION: f"interval {_LOG_DAYS} days",
}


@dataclass(frozen=True)
class TablePlace:
    """Where a table lies, and how its store is reached.

    Attributes:
        folder: of the table.
        options: of the store, as deltalake takes them (`store_options`).
    """

    folder: S3Address
    options: Mapping[str, str]


class TableFile(NamedTuple):
    """A file that the table's log names: its name relative to the table, its outcome, rows and bytes."""

    name: str
    outcome: str
    rows: int
    size: int


def store_options(region: str, endpoint: str | None, credentials: Mapping[str, str] | None = None) -> dict[str, str]:
    """How deltalake reaches a store (https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html).

    Args:
        region: that requests are signed for.
        endpoint: of a server that is not AWS; None for AWS.
        credentials: AWS_ACCESS_KEY_ID and the like; None for the process's own.
    """
    options = {"AWS_REGION": region, "timeout": "120s", "connect_timeout": "5s", **_PATIENCE}
    if endpoint:
        options |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": str(endpoint.startswith("http://")).lower()}
    return options | dict(credentials or {})


def open_table(place: TablePlace) -> DeltaTable | None:
    """The table as it is now; None when there is none yet. Raises TableError when the store does not tell."""
    try:
        return DeltaTable(place.folder.uri, storage_options=dict(place.options))
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise TableError(f"the feature table {place.folder.uri} cannot be read: {said(error)}") from error


def open_or_create(place: TablePlace) -> DeltaTable:
    """The table as it is now, made if there is none; of two who make it at once, one does. Raises TableError."""
    failure: Exception | None = None
    for pause in (*PAUSES, 0.0):
        if (table := open_table(place)) is not None:
            return table
        try:
            DeltaTable.create(
                place.folder.uri,
                TABLE,
                mode="ignore",
                partition_by=[OUTCOME],
                configuration=PROPERTIES,
                storage_options=dict(place.options),
            )
        except (DeltaError, OSError) as error:
            failure = error
            time.sleep(pause)
    raise TableError(f"the feature table {place.folder.uri} cannot be made: {said(failure)}") from failure


def live_files(table: DeltaTable | None) -> list[TableFile]:
    """The files that a reader of the table sees, ascending by name; none of a table that is not there."""
    if table is None:
        return []
    actions = pa.table(table.get_add_actions(flatten=True))
    columns = (actions[name].to_pylist() for name in ("path", f"partition.{OUTCOME}", "num_records", "size_bytes"))
    return sorted(TableFile(*file) for file in zip(*columns, strict=True))


def version_of(table: DeltaTable | None) -> int:
    """The version of a table; -1 of one that is not there."""
    return -1 if table is None else table.version()


def next_chunk(table: DeltaTable | None, slug: str) -> int:
    """The number of a run's next chunk: the one that a killed try may have begun."""
    last = None if table is None else table.transaction_version(slug)
    return 0 if last is None else int(last) + 1


def commit_chunk(place: TablePlace, slug: str, chunk: int, files: Sequence[TableFile]) -> bool:
    """Make a chunk count, whole or not at all; whether it is ours that counts.

    A chunk counts once: its run and number are an application transaction, which Delta Lake takes from one writer. A
    commit whose answer was lost may have been stored; then our files are in the table.

    Raises:
        TableError: the store did not take it, however often it was tried.
    """
    failure: Exception | None = None
    for pause in (*PAUSES, 0.0):
        table = open_or_create(place)
        if next_chunk(table, slug) > chunk:
            return {file.name for file in files} <= {file.name for file in live_files(table)}
        try:
            table.create_write_transaction(
                [_add(file) for file in files],
                "append",
                TABLE,
                partition_by=[OUTCOME],
                commit_properties=CommitProperties(app_transactions=[Transaction(slug, chunk)]),
            )
        except (DeltaError, OSError) as error:
            failure = error
            time.sleep(pause)
        else:
            return True
    raise TableError(f"chunk {chunk} was not committed to {place.folder.uri}: {said(failure)}") from failure


def _add(file: TableFile) -> AddAction:
    return AddAction(
        file.name,
        file.size,
        {OUTCOME: file.outcome},
        int(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": file.rows}),
    )


def small_files(files: Iterable[TableFile]) -> int:
    """How many files are worth merging."""
    return sum(file.size < SMALL_BYTES for file in files)


def merge_small_files(table: DeltaTable) -> int:
    """Merge what is smaller than a whole file; how many files went. Those stay for readers until the next vacuum."""
    return int(table.optimize.compact(target_size=FILE_BYTES)["numFilesRemoved"])


def is_vacuum_due(before: int, now: int) -> bool:
    """Whether a step that found version `before` and left version `now` looks for files that nobody names."""
    return max(before, 0) // VACUUM_VERSIONS < now // VACUUM_VERSIONS


def vacuum(table: DeltaTable, grace_hours: int) -> int:
    """Delete files that nobody names and that are older than the time of grace; how many."""
    deleted = table.vacuum(grace_hours, dry_run=False, enforce_retention_duration=False, full=True)
    return len(deleted)


def said(error: Exception | None) -> str:
    """What an error of the library says, on one line."""
    return " ".join(str(error).split())[:500]

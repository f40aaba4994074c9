"""What a compaction rewrites, and what its commit record says.

A compaction or an erasure is a rewrite: its record holds the rows of the records it replaces. All rewrites of a table
are chunks of one run id, and a record's name is taken only once (a conditional PUT), so of two rewrites that
began with the same records only the first counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from spark_jobs.commit_records import CommitRecord, next_chunk, visible
from spark_jobs.committed_rows import CommittedRows
from spark_jobs.row_precedence import Flags, Int64s, winning_rows
from spark_jobs.s3_address import S3Address

REWRITES = "verger-rewrite"
# A record of so many rows is left as it is: rewriting it again and again would cost more than reading it does.
LARGE_RECORD_ROWS = 20_000
FILES_PER_RECORD = 4
# Rows of a file: 27 MB of features, as featurize writes them.
FILE_ROWS = 4096
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class RowsOfFile:
    """Some rows of one committed file, by ascending row number."""

    address: S3Address
    rows: Int64s


@dataclass(frozen=True)
class FileToWrite:
    """One new file: what it holds, in this order, and which table it belongs to."""

    sources: tuple[RowsOfFile, ...]
    is_features: bool

    @property
    def rows(self) -> int:
        """How many rows it will have."""
        return sum(len(source.rows) for source in self.sources)


def small_records(records: Sequence[CommitRecord], run_id: str) -> list[CommitRecord]:
    """The records worth merging, earliest first: visible, small, and not of this run.

    This run's own rows stay where they are: one that was read under another etag than the one listed answers
    its image only by the run id of its record.
    """
    return [
        record
        for record in visible(records)
        if record.run_id != run_id and record.features.rows + record.rejects.rows < LARGE_RECORD_ROWS
    ]


def is_due(small: Sequence[CommitRecord], compact_above: int) -> bool:
    """Whether readers have so many small records, or so many of their files, to read that a rewrite pays."""
    files = sum(len(record.features.files) + len(record.rejects.files) for record in small)
    return len(small) > compact_above or (len(small) > 1 and files > FILES_PER_RECORD * compact_above)


def next_generation(records: Sequence[CommitRecord]) -> int:
    """The chunk number of the next rewrite."""
    return next_chunk(records, REWRITES)


def replaced_names(chosen: Sequence[CommitRecord], records: Sequence[CommitRecord]) -> tuple[str, ...]:
    """What a rewrite of `chosen` replaces: them, and what they replaced and is still there.

    Without the latter, a replaced record could count again once its replacement has been deleted.
    """
    present = {record.name for record in records}
    earlier = {name for record in chosen for name in record.replaces}
    return tuple(sorted({record.name for record in chosen} | (earlier & present)))


def commit_time(now: datetime, records: Sequence[CommitRecord]) -> str:
    """The time of a rewrite: now, but later than every record, whatever the clocks that wrote them."""
    latest = max((record.committed_at for record in records), default="")
    stamp = now.astimezone(UTC).strftime(TIME_FORMAT)
    if stamp > latest:
        return stamp
    return (datetime.strptime(latest, TIME_FORMAT).replace(tzinfo=UTC) + timedelta(seconds=1)).strftime(TIME_FORMAT)


def files_to_write(committed: CommittedRows, chosen: Sequence[CommitRecord]) -> list[FileToWrite]:
    """The winning rows of the chosen records, cut into new files.

    A row that another one beats, wherever that lies, is left out: the latest commit, ours, would make it win.
    """
    names = {record.name for record in chosen}
    is_features = committed.flags([file.is_features for file in committed.files])
    kept = winning_rows(committed.keys, is_features)
    kept &= committed.flags([file.record.name in names for file in committed.files])
    return [
        FileToWrite(_sources(committed, rows), of_features)
        for of_features in (True, False)
        for rows in _cut(np.flatnonzero(kept & _same(is_features, of_features)))
    ]


def _same(is_features: Flags, of_features: bool) -> Flags:  # noqa: FBT001 - a value to compare with
    return is_features if of_features else ~is_features


def _cut(rows: Int64s) -> list[Int64s]:
    return [rows[start : start + FILE_ROWS] for start in range(0, len(rows), FILE_ROWS)]


def _sources(committed: CommittedRows, rows: Int64s) -> tuple[RowsOfFile, ...]:
    files = committed.file[rows]
    parts = np.split(rows, np.flatnonzero(np.diff(files)) + 1)
    return tuple(
        RowsOfFile(committed.files[int(committed.file[part[0]])].address, committed.row[part]) for part in parts
    )

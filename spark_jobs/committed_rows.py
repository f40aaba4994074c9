"""Which rows the feature table holds, by path and etag, and which of them answers each image of a manifest."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spark_jobs.commit_records import CommitRecord, read_commits, visible
from spark_jobs.decoder_column import stored_columns, with_decoder
from spark_jobs.decoder_version import DECODER_VERSION
from spark_jobs.job_errors import RefusedError, StepFailedError
from spark_jobs.layout import TableLayout
from spark_jobs.object_store import StoreSettings
from spark_jobs.remote_file import RemoteFile
from spark_jobs.s3_address import S3Address

READS_AT_ONCE = 16
Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

UNANSWERED = -1
KEY_SCHEMA = pa.schema([("path", pa.string()), ("etag", pa.string()), ("decoder", pa.int32())])


@dataclass(frozen=True)
class CommittedFile:
    """A file that a commit record names.

    Attributes:
        address: where it lies.
        record: the record that names it.
        is_features: a file of features, else of rejects.
    """

    address: S3Address
    record: CommitRecord
    is_features: bool


@dataclass(frozen=True)
class CommittedRows:
    """The keys of every row that counts; `file` and `row` tell where each lies.

    Attributes:
        files: earliest commit first.
        keys: columns path, etag, decoder (never null).
        file: index into `files`, [rows].
        row: row number within its file, [rows].
    """

    files: tuple[CommittedFile, ...]
    keys: pa.Table
    file: Int64s
    row: Int64s

    def flags(self, of_file: Sequence[bool]) -> Flags:
        """A property of files, for each row."""
        return np.array([*of_file, False], np.bool_)[self.file]


def committed_files(layout: TableLayout, records: Sequence[CommitRecord]) -> tuple[CommittedFile, ...]:
    """The files readers see, earliest commit first."""
    return tuple(
        CommittedFile(root.child(name), record, is_features)
        for record in visible(records)
        for root, table, is_features in (
            (layout.features, record.features, True),
            (layout.rejects, record.rejects, False),
        )
        for name in table.files
    )


def read_table_rows(settings: StoreSettings, layout: TableLayout) -> CommittedRows:
    """The keys of every row that counts now; see `read_committed_rows`."""
    return read_committed_rows(settings, committed_files(layout, read_commits(settings, layout)))


def read_committed_rows(settings: StoreSettings, files: Sequence[CommittedFile]) -> CommittedRows:
    """Read path, etag and decoder of every row of some files; only those columns leave the store.

    Raises:
        RefusedError: a file that a commit record names is not there or is no Parquet.
        StepFailedError: the store does not give it.
    """
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        read = pool.map(lambda file: read_columns(settings, file.address, KEY_SCHEMA.names), files)
        tables = [with_decoder(table).select(KEY_SCHEMA.names) for table in read]
    lengths = [table.num_rows for table in tables]
    keys = pa.concat_tables([KEY_SCHEMA.empty_table(), *(table.cast(KEY_SCHEMA) for table in tables)])
    return CommittedRows(
        files=tuple(files),
        keys=keys.combine_chunks(),
        file=np.repeat(np.arange(len(files), dtype=np.int64), lengths),
        row=np.concatenate([np.arange(length, dtype=np.int64) for length in [*lengths, 0]]),
    )


def read_columns(settings: StoreSettings, address: S3Address, columns: Sequence[str]) -> pa.Table:
    """Some columns of one Parquet file; it may lack the decoder's.

    Raises:
        RefusedError: it is not there or is no Parquet with these columns.
        StepFailedError: the store does not give it.
    """
    try:
        file = pq.ParquetFile(RemoteFile(settings, address), pre_buffer=True)
        return file.read(columns=stored_columns(columns, file.schema_arrow))
    except FileNotFoundError as error:
        raise RefusedError(f"{address.uri} is not there, though a commit record names it") from error
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise RefusedError(f"{address.uri} is no Parquet file with {', '.join(columns)}: {error}") from error
    except OSError as error:
        raise StepFailedError(f"{address.uri} cannot be read: {error}") from error


def answering_rows(manifest: pa.Table, committed: CommittedRows, run_id: str) -> Int64s:
    """The committed row that answers each manifest row, as an index into `committed`; UNANSWERED for none.

    A row answers an image when this version of the decoder made it, and it has the image's path and etag, or its path
    and comes from this very run (the image was replaced after it was listed). Among several, features win over a
    reject, then the same etag wins, then the later commit.
    """
    image = pc.index_in(committed.keys["path"], value_set=manifest["path"]).fill_null(UNANSWERED).to_numpy()
    listed = np.flatnonzero(image >= 0)
    image = image[listed].astype(np.int64)
    expected = manifest["etag"].combine_chunks().take(pa.array(image))
    same_etag = pc.equal(committed.keys["etag"].take(pa.array(listed)), expected).to_numpy().astype(np.bool_)
    same_run = committed.flags([file.record.run_id == run_id for file in committed.files])[listed]
    is_features = committed.flags([file.is_features for file in committed.files])[listed]
    answers = (same_etag | same_run) & made_by_this_decoder(committed)[listed]
    # Files are in the order of their commits, so the row number is the time; the best of an image sorts last.
    order = np.lexsort((listed, same_etag, is_features, answers, image))
    best = np.full(manifest.num_rows, UNANSWERED, np.int64)
    best[image[order]] = np.where(answers[order], listed[order], UNANSWERED)
    return best


def rows_to_do(manifest: pa.Table, committed: CommittedRows, run_id: str, *, retry_rejects: bool) -> pa.Table:
    """The images that no row answers; with `retry_rejects` also those that only an earlier run's reject answers."""
    answers = answering_rows(manifest, committed, run_id)
    done = answers != UNANSWERED
    if retry_rejects:
        final = committed.flags([file.is_features or file.record.run_id == run_id for file in committed.files])
        done &= np.append(final, False)[answers]
    return manifest.filter(pa.array(~done)).combine_chunks()


def made_by_this_decoder(committed: CommittedRows) -> Flags:
    """Whether this version of the decoder made each row: a matrix never mixes versions."""
    made: Flags = committed.keys["decoder"].to_numpy() == DECODER_VERSION
    return made


def decoded_otherwise(images: pa.Table, committed: CommittedRows) -> int:
    """How many of some images that are to be done have a row of their etag, by another version of the decoder."""
    other = committed.keys.filter(pa.array(~made_by_this_decoder(committed)))
    image = pc.index_in(other["path"], value_set=images["path"]).fill_null(UNANSWERED).to_numpy()
    rows = np.flatnonzero(image >= 0)
    expected = images["etag"].combine_chunks().take(pa.array(image[rows]))
    same = pc.equal(other["etag"].combine_chunks().take(pa.array(rows)), expected).to_numpy(zero_copy_only=False)
    return len(np.unique(image[rows][same.astype(np.bool_)]))

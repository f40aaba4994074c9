"""Merging the small records of many runs into one with few files, so that the table stays quick to read.

Safe at any moment: readers see the old records until the new one is there, the old files stay for a time of grace
(`sweeping.py`), and what a killed compaction wrote is named by no record.
"""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import SparkContext

from spark_jobs.commit_records import CommitRecord, TableFiles, commit_once, read_commits
from spark_jobs.committed_rows import committed_files, read_committed_rows
from spark_jobs.decoder_column import stored_columns, with_later_columns
from spark_jobs.layout import TableLayout, chunk_folder, run_slug
from spark_jobs.object_store import StoreSettings, read_bytes
from spark_jobs.rewrite_plan import (
    REWRITES,
    FileToWrite,
    RowsOfFile,
    commit_time,
    files_to_write,
    is_due,
    next_generation,
    replaced_names,
    small_records,
)
from spark_jobs.schemas import FEATURE_TABLE, REJECT
from spark_jobs.spark_context import close_context, open_context
from spark_jobs.sweeping import sweep
from spark_jobs.table_file import write_table_file

READS_AT_ONCE = 4


@dataclass(frozen=True)
class Upkeep:
    """How the table is kept small.

    Attributes:
        run_id: of the step that does it; its own records are left alone.
        compact_above: as many small records may be there.
        grace_hours: how long a replaced record and its files stay for readers that found them before.
    """

    run_id: str
    compact_above: int
    grace_hours: int


def keep_small(settings: StoreSettings, layout: TableLayout, upkeep: Upkeep) -> None:
    """Compact the table when that is due, and remove what nobody can be reading any more, killed tries' files too.

    A table that stays large is only slow: whatever goes wrong here is told, and does not fail the step.
    """
    try:
        records = read_commits(settings, layout)
        small = small_records(records, upkeep.run_id)
        if is_due(small, upkeep.compact_above):
            spark = open_context(f"verger compact {upkeep.run_id}")
            try:
                compact(spark, settings, layout, records, small)
            finally:
                close_context(spark)
        sweep(settings, layout, upkeep.grace_hours)
    except Exception as error:  # noqa: BLE001 - see above
        print(f"featurize: WARNING: the table was not compacted ({type(error).__name__}: {error})", flush=True)


def compact(
    spark: SparkContext,
    settings: StoreSettings,
    layout: TableLayout,
    records: Sequence[CommitRecord],
    chosen: Sequence[CommitRecord],
) -> CommitRecord | None:
    """Rewrite the rows of some of the visible records and commit them as one; None when another rewrite was faster.

    Raises:
        StepFailedError: the new files do not hold the rows they should; nothing is committed.
    """
    committed = read_committed_rows(settings, committed_files(layout, records))
    files = files_to_write(committed, chosen)
    generation = next_generation(records)
    folder = chunk_folder(run_slug(REWRITES), generation)
    # Two rewrites may work on the same generation: their files must not meet.
    names = [f"{folder}/part-{index:05d}-{uuid.uuid4().hex}.parquet" for index in range(len(files))]
    work = list(zip(files, names, strict=True))
    if work:
        spark.parallelize(work, len(work)).foreach(partial(_write_file, settings, layout))
    record = CommitRecord(
        run_id=REWRITES,
        model_fingerprint=layout.fingerprint,
        chunk=generation,
        committed_at=commit_time(datetime.now(UTC), records),
        features=_table_files(work, is_features=True),
        rejects=_table_files(work, is_features=False),
        replaces=replaced_names(chosen, records),
    )
    if not commit_once(settings, layout, record):
        print("featurize: another compaction or erasure was faster: this one does not count", flush=True)
        return None
    rows = record.features.rows + record.rejects.rows
    print(f"featurize: {len(chosen)} commits compacted into one, {rows} rows in {len(work)} files", flush=True)
    return record


def _table_files(work: Sequence[tuple[FileToWrite, str]], *, is_features: bool) -> TableFiles:
    mine = [(file, name) for file, name in work if file.is_features == is_features]
    return TableFiles(sum(file.rows for file, _ in mine), tuple(name for _, name in mine))


def _write_file(settings: StoreSettings, layout: TableLayout, task: tuple[FileToWrite, str]) -> None:
    """Write one new file and check it; a worker holds its rows and READS_AT_ONCE source files."""
    file, name = task
    schema = FEATURE_TABLE if file.is_features else REJECT
    address = (layout.features if file.is_features else layout.rejects).child(name)
    with ThreadPoolExecutor(READS_AT_ONCE) as pool:
        parts = list(pool.map(partial(_read_rows, settings, schema), file.sources))
    write_table_file(settings, address, pa.concat_tables(parts))


def _read_rows(settings: StoreSettings, schema: pa.Schema, source: RowsOfFile) -> pa.Table:
    """Some rows of one file, which is read with a single request: every column is needed."""
    file = pq.ParquetFile(pa.BufferReader(read_bytes(settings, source.address)))
    rows = file.read(columns=stored_columns(schema.names, file.schema_arrow)).take(pa.array(source.rows))
    return with_later_columns(rows).select(schema.names).cast(schema)

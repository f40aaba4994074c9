"""Which row of the feature table answers an image: the one place that decides it (docs/formats.md).

Millions of rows are joined with millions of images, on this machine's disk: DuckDB, whose memory is bounded.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from verger_rules.answers import REASONS, AnswersError, answers_of
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile
from verger_rules.disk_database import DiskDatabase
from verger_rules.manifest_file import ManifestFile
from verger_rules.row_parts import PART_ROWS, in_parts
from verger_rules.schemas import ANSWERS, FEATURIZED, KEYS

_READS_AT_ONCE = 16
#: Files whose keys are put into the database at a time.
_FILES_AT_ONCE = 64

# A file that an erasure wrote again has other kinds of text (string_view).
_REASONS = pa.schema([ANSWERS.field(name) for name in REASONS])

#: Reads some columns of a file of the table, named relative to it.
ReadColumns = Callable[[str, Sequence[str]], pa.Table]

# A file is known by a number, as long as the table names it; `place` is where its name stands among all names.
_TABLES = """
    CREATE TABLE files (file INTEGER, place INTEGER, name VARCHAR, featurized BOOLEAN);
    CREATE TABLE keys (
        path VARCHAR, etag VARCHAR, current BOOLEAN, this_run BOOLEAN, computed_at BIGINT, file INTEGER, row INTEGER
    );
    CREATE TABLE reasons (file INTEGER, row INTEGER, stage VARCHAR, reason VARCHAR, detail VARCHAR);
"""
# The best row of an image is the one of the largest rank: features, the same etag, when it was computed (2^60 us are
# 36,000 years), the place of its file and its row there, each in its own bits of 127. Two statements, each with one
# large table in memory: both at once would need twice as much.
_CANDIDATES = """
    CREATE OR REPLACE TABLE candidates AS
    SELECT listed.file_row_number AS number,
        (files.featurized::HUGEINT << 125)
        | (coalesce(keys.etag = listed.etag, false)::HUGEINT << 124)
        | (keys.computed_at::HUGEINT << 64)
        | (files.place::HUGEINT << 33)
        | (keys.row::HUGEINT << 1)
        | keys.this_run::HUGEINT AS rank
    FROM keys
    JOIN read_parquet($manifest, file_row_number = true) AS listed USING (path)
    JOIN files USING (file)
    WHERE keys.current AND (keys.etag = listed.etag OR keys.this_run)
"""
_BEST = """
    CREATE OR REPLACE TABLE answering AS
    WITH best AS (
        SELECT number, max(rank) AS rank FROM candidates GROUP BY number
    )
    SELECT number,
        files.file,
        ((rank >> 1) & 4294967295)::INTEGER AS row,
        files.featurized,
        (rank & 1)::INTEGER::BOOLEAN AS this_run
    FROM best JOIN files ON files.place = ((rank >> 33) & 2147483647)::INTEGER
"""
# With `retry`, a reject of an earlier run answers nothing.
_TODO = """
    SELECT range AS number
    FROM range({images}) ANTI JOIN (
        SELECT number FROM answering WHERE featurized OR this_run OR NOT {retry}
    ) AS final ON range = final.number
    ORDER BY number
"""
_OTHERWISE = """
    SELECT count(DISTINCT listed.file_row_number)
    FROM keys JOIN read_parquet($manifest, file_row_number = true) AS listed USING (path, etag)
    WHERE NOT keys.current AND listed.file_row_number NOT IN (
        SELECT number FROM answering WHERE featurized OR this_run OR NOT $retry
    )
"""


class Answering:
    """The images of a manifest and the rows of the feature table, in a database of their own.

    `read_keys`, then `decide`; both again when the table has changed. A row answers an image when this version of the
    decoder made it, and it was read under the image's path and etag, or under its path by this very run (the image was
    replaced after it was listed). Among several, features win over a reject, then the same etag wins, then the later
    one, then the one of the later name.
    """

    def __init__(self, database: DiskDatabase, manifest: ManifestFile, slug: str) -> None:
        self._database = database
        self._manifest = manifest
        self._slug = slug
        self._numbers: dict[TableFile, int] = {}
        self._next = 0
        database.execute(_TABLES)

    def read_keys(self, files: Iterable[TableFile], read: ReadColumns) -> None:
        """Take the rows of these files, and of no others; those known are not read again. Raises what `read` does."""
        now = sorted(files)
        gone = pa.table(
            {"file": pa.array([self._numbers.pop(file) for file in set(self._numbers) - set(now)], pa.int32())}
        )
        with self._database.shown("gone", gone):
            for table in ("keys", "reasons"):
                self._database.execute(f"DELETE FROM {table} WHERE file IN (SELECT file FROM gone)")  # noqa: S608 -- ours
        new = [file for file in now if file not in self._numbers]
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            for start in range(0, len(new), _FILES_AT_ONCE):
                some = new[start : start + _FILES_AT_ONCE]
                self._add(some, list(pool.map(lambda file: read(file.name, _columns_of(file)), some)))
        self._name_files(now)

    def _add(self, files: Sequence[TableFile], tables: Sequence[pa.Table]) -> None:
        keys, reasons = [], []
        for file, table in zip(files, tables, strict=True):
            number = pa.scalar(self._next, pa.int32())
            self._numbers[file] = self._next
            self._next += 1
            place = {
                "file": pa.repeat(number, table.num_rows),
                "row": pa.array(np.arange(table.num_rows, dtype=np.int32)),
            }
            cast = table.select(KEYS.names).cast(KEYS)
            keys.append(
                pa.table(
                    {
                        "path": cast["path"],
                        "etag": cast["read_etag"],
                        "current": pc.equal(cast["decoder"], DECODER_VERSION),
                        "this_run": pc.equal(cast["run"], self._slug),
                        "computed_at": cast["computed_at"].cast(pa.int64()),
                        **place,
                    }
                )
            )
            if file.outcome != FEATURIZED:
                of_rejects = table.select(_REASONS.names).cast(_REASONS)
                reasons.append(pa.table({**place, **{name: of_rejects[name] for name in REASONS}}))
        self._database.add("keys", pa.concat_tables(keys))
        if reasons:
            self._database.add("reasons", pa.concat_tables(reasons))

    def _name_files(self, files: Sequence[TableFile]) -> None:
        rows = {
            "file": pa.array([self._numbers[file] for file in files], pa.int32()),
            "place": pa.array(range(len(files)), pa.int32()),
            "name": pa.array([file.name for file in files], pa.string()),
            "featurized": pa.array([file.outcome == FEATURIZED for file in files], pa.bool_()),
        }
        self._database.execute("DELETE FROM files")
        self._database.add("files", pa.table(rows))

    def decide(self) -> None:
        """Find the row that answers each image."""
        self._database.execute(_CANDIDATES, {"manifest": str(self._manifest.path)})
        self._database.execute(_BEST)
        self._database.execute("DROP TABLE candidates")

    def rows(self) -> int:
        """How many rows there are."""
        (count,) = self._database.row("SELECT count(*) FROM keys")
        return int(count)

    def unanswered(self, *, retry_rejects: bool) -> Iterator[pa.Table]:
        """The images that no row answers, in order, part by part, schema MANIFEST.

        With `retry_rejects` also those that only an earlier run's reject answers.
        """
        query = _TODO.format(images=self._manifest.images, retry=retry_rejects)
        numbers = (batch.column(0).to_numpy() for batch in self._database.batches(query, PART_ROWS))
        yield from in_parts(_rows_of(self._manifest.parts(), numbers), PART_ROWS)

    def decoded_otherwise(self, *, retry_rejects: bool) -> int:
        """How many of the unanswered images have a row of their etag, by another version of the decoder."""
        if not self._database.row("SELECT count(*) FROM keys WHERE NOT current")[0]:
            return 0
        values = {"manifest": str(self._manifest.path), "retry": retry_rejects}
        return int(self._database.row(_OTHERWISE, values)[0])

    def answers(self) -> Iterator[pa.Table]:
        """The answers of the manifest, in its order, part by part, schema ANSWERS.

        Raises AnswersError when an image has none.
        """
        self._check_all_answered()
        names = (
            self._database.database.sql("SELECT name FROM files ORDER BY place")
            .to_arrow_table()["name"]
            .combine_chunks()
        )
        query = """
            SELECT files.place, answering.row, files.featurized, stage, reason, detail
            FROM answering JOIN files USING (file) LEFT JOIN reasons USING (file, row) ORDER BY number
        """
        decided = in_parts(self._database.batches(query, PART_ROWS), PART_ROWS)
        for listed, rows in zip(self._manifest.parts(), decided, strict=True):
            yield answers_of(listed, rows, names)

    def _check_all_answered(self) -> None:
        (answered,) = self._database.row("SELECT count(*) FROM answering")
        if missing := self._manifest.images - answered:
            first = next(self.unanswered(retry_rejects=False))["path"][0].as_py()
            raise AnswersError(
                f"{missing} of {self._manifest.images} images have no row in the feature table, first {first!r}"
            )


def _columns_of(file: TableFile) -> list[str]:
    """What is read of a file: what finds its rows, and of rejects why."""
    return KEYS.names if file.outcome == FEATURIZED else [*KEYS.names, *REASONS]


def _rows_of(parts: Iterable[pa.Table], numbers: Iterable[np.ndarray]) -> Iterator[pa.Table]:
    """The rows of some numbers, which ascend, out of a list that is read part by part."""
    remaining = iter(numbers)
    wanted = next(remaining, None)
    start = 0
    for part in parts:
        end = start + part.num_rows
        while wanted is not None:
            inside = int(np.searchsorted(wanted, end))
            if inside:
                yield part.take(pa.array(wanted[:inside] - start))
            if inside < len(wanted):
                wanted = wanted[inside:]
                break
            wanted = next(remaining, None)
        start = end

"""The keys of the feature table: of every row, what finds it, and where it lies."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from verger_rules.delta_table import TableFile
from verger_rules.schemas import FEATURIZED, KEYS

_READS_AT_ONCE = 16
Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Reads some columns of a file of the table, named relative to it.
ReadColumns = Callable[[str, Sequence[str]], pa.Table]


@dataclass(frozen=True)
class TableKeys:
    """The keys of all rows of some files.

    Attributes:
        files: ascending by name.
        keys: schema KEYS, one row a row of the table.
        file: index into `files`, [rows].
        row: row number within its file, [rows].
    """

    files: tuple[TableFile, ...]
    keys: pa.Table
    file: Int64s
    row: Int64s

    @property
    def is_featurized(self) -> Flags:
        """Whether each row has features; [rows]."""
        of_file = np.array([file.outcome == FEATURIZED for file in self.files] or [False], np.bool_)
        return of_file[self.file] if len(self.file) else np.zeros(0, np.bool_)


def read_keys(files: Sequence[TableFile], read: ReadColumns, known: TableKeys | None = None) -> TableKeys:
    """Read the keys of some files, but for those that are known; raises what `read` raises."""
    ordered = tuple(sorted(files))
    held = _by_file(known) if known else {}

    def keys_of(file: TableFile) -> pa.Table:
        return held[file] if file in held else read(file.name, KEYS.names).select(KEYS.names).cast(KEYS)

    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        tables = list(pool.map(keys_of, ordered))
    lengths = [table.num_rows for table in tables]
    return TableKeys(
        files=ordered,
        keys=pa.concat_tables([KEYS.empty_table(), *tables]).combine_chunks(),
        file=np.repeat(np.arange(len(ordered), dtype=np.int64), lengths),
        row=np.concatenate([np.arange(length, dtype=np.int64) for length in [*lengths, 0]]),
    )


def _by_file(table: TableKeys) -> dict[TableFile, pa.Table]:
    starts = np.searchsorted(table.file, np.arange(len(table.files)))
    return {file: table.keys.slice(int(start), file.rows) for file, start in zip(table.files, starts, strict=True)}

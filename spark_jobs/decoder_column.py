"""The columns that files of earlier releases lack: which version of the decoder made a row, and what it noted."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

DECODER = "decoder"
NOTE = "note"
#: What a row without the column, or without a value in it, counts as.
UNRECORDED = 1


def stored_columns(wanted: Iterable[str], file: pa.Schema) -> list[str]:
    """The columns to read of a file that may lack the later ones; any other missing one is still asked for."""
    return [name for name in wanted if name not in {DECODER, NOTE} or name in file.names]


def with_decoder(table: pa.Table) -> pa.Table:
    """The table with the decoder of each row, int32 without nulls; its other columns stay as they are."""
    if DECODER not in table.column_names:
        return table.append_column(DECODER, pa.array(np.full(table.num_rows, UNRECORDED, np.int32)))
    place = table.column_names.index(DECODER)
    return table.set_column(place, DECODER, table[DECODER].cast(pa.int32()).fill_null(UNRECORDED))


def with_later_columns(table: pa.Table) -> pa.Table:
    """The table with the decoder of each row and its note, which may be null."""
    table = with_decoder(table)
    return table if NOTE in table.column_names else table.append_column(NOTE, pa.nulls(table.num_rows, pa.string()))

"""The list in which the explorer's page looks up the pictures that its sample leaves out, a few parts at a time."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from verger.publish.run_rows import RunRows

FILE = "all.parquet"
_COLUMNS = pa.schema([(name, pa.string()) for name in ("path", "label", "reason")])


def write_all_pictures(path: Path, rows: RunRows) -> None:
    """Write path, label and, of rejects, the reason of every listed picture, ascending by path.

    The footer tells the least and the greatest path and label of each row group: a reader asks for those that it needs.
    A path is stored as what it has more than the one before (DELTA_BYTE_ARRAY), a tenth of it.
    """
    writer = pq.ParquetWriter(
        path,
        _COLUMNS,
        compression="snappy",  # which browsers' readers know without a second library
        use_dictionary=["label", "reason"],
        column_encoding={"path": "DELTA_BYTE_ARRAY"},
        write_statistics=["path", "label"],
    )
    with writer:
        for part in rows.answer_parts():
            writer.write_table(part.select(_COLUMNS.names).cast(_COLUMNS))

"""The files of a result: streamed where they grow with the number of images."""

from collections.abc import Iterable
from contextlib import ExitStack

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.csv_text import harmless_column, harmless_rows, to_text_csv
from verger_rules.excel_csv import MOST_ROWS, excel_file, excel_header, excel_name, excel_rows

from spark_jobs.pca.moments import Matrix
from spark_jobs.pca.pca_model import PcaModel
from spark_jobs.store.object_store import StoreSettings, write_bytes
from spark_jobs.store.remote_file import UploadedFile

REJECT_COLUMNS = ["path", "label", "stage", "reason", "detail"]


def matrix_schema(k: int) -> pa.Schema:
    """`path, label, pc_1 .. pc_k`."""
    scores = [(f"pc_{component + 1}", pa.float64()) for component in range(k)]
    return pa.schema([("path", pa.string()), ("label", pa.string()), *scores])


def matrix_rows(images: pa.Table, scores: Matrix) -> pa.Table:
    """Rows of the matrix from images (columns path, label) and their scores [n, k]."""
    columns = [images["path"], images["label"], *(pa.array(column) for column in scores.T.copy())]
    return pa.Table.from_arrays(columns, schema=matrix_schema(scores.shape[1]))


def write_matrix(settings: StoreSettings, folder: S3Address, k: int, images: int, pieces: Iterable[pa.Table]) -> int:
    """Write `matrix.parquet` and `matrix.csv` piece by piece, and where Excel can hold so many `images`, its own file.

    Returns the number of rows. One piece is in memory at a time.
    """
    schema = matrix_schema(k)
    rows = 0
    with ExitStack() as open_files:
        as_parquet = open_files.enter_context(UploadedFile(settings, folder.child("matrix.parquet")))
        as_csv = open_files.enter_context(UploadedFile(settings, folder.child("matrix.csv")))
        as_csv.write((",".join(schema.names) + "\n").encode())
        for_excel = None
        if images <= MOST_ROWS:
            for_excel = open_files.enter_context(UploadedFile(settings, folder.child(excel_name("matrix.csv"))))
            for_excel.write(excel_header(schema.names))
        parquet = open_files.enter_context(pq.ParquetWriter(as_parquet, schema, compression="zstd"))
        for piece in pieces:
            parquet.write_table(piece)
            as_csv.write(to_csv(piece))
            if for_excel:
                for_excel.write(excel_rows(piece))
            rows += piece.num_rows
    return rows


def to_csv(piece: pa.Table) -> bytes:
    """Rows of a table as CSV without a header; text is quoted (RFC 4180) and harmless to spreadsheets."""
    columns = [harmless_column(column) if pa.types.is_string(column.type) else column for column in piece.columns]
    stored = pa.BufferOutputStream()
    options = pa_csv.WriteOptions(include_header=False)
    pa_csv.write_csv(pa.Table.from_arrays(columns, schema=piece.schema), stored, options)
    return bytes(stored.getvalue())


def write_explained_variance(settings: StoreSettings, folder: S3Address, model: PcaModel, kept: int) -> None:
    """Write `explained_variance.csv`, a row for every component the fit found, and the same for Excel."""
    numbers = range(1, model.k + 1)
    rows = pa.table(
        {
            "component": pa.array(numbers, pa.int32()),
            "explained_variance": model.explained_variance,
            "explained_variance_ratio": model.explained_variance_ratio,
            "cumulative_ratio": np.cumsum(model.explained_variance_ratio),
            "kept": [str(number <= kept).lower() for number in numbers],
        }
    )
    _write_both(settings, folder, "explained_variance.csv", rows)


def write_rejects(settings: StoreSettings, folder: S3Address, images: int, parts: Iterable[pa.Table]) -> None:
    """Write `rejects.csv`, the images that are not in the matrix and why, and the same for Excel if it can hold them.

    Args:
        settings: of the store.
        folder: of the results.
        images: how many were rejected.
        parts: their answers, which are read one after the other.
    """
    with ExitStack() as open_files:
        as_csv = open_files.enter_context(UploadedFile(settings, folder.child("rejects.csv")))
        as_csv.write(to_text_csv([REJECT_COLUMNS]))
        for_excel = None
        if images <= MOST_ROWS:
            for_excel = open_files.enter_context(UploadedFile(settings, folder.child(excel_name("rejects.csv"))))
            for_excel.write(excel_header(REJECT_COLUMNS))
        for part in parts:
            rows = part.select(REJECT_COLUMNS)
            as_csv.write(to_text_csv(harmless_rows(rows)))
            if for_excel:
                for_excel.write(excel_rows(rows))


def _write_both(settings: StoreSettings, folder: S3Address, name: str, rows: pa.Table) -> None:
    """Write a table as CSV, and for Excel where it can hold so many rows."""
    write_bytes(settings, folder.child(name), to_text_csv([rows.column_names, *harmless_rows(rows)]))
    if rows.num_rows <= MOST_ROWS:
        write_bytes(settings, folder.child(excel_name(name)), excel_file(rows))

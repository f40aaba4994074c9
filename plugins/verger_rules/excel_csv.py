"""CSV as Excel opens it with a double click where numbers have a decimal comma: docs/csv.md says why it is this way.

A byte-order mark, without which Excel takes UTF-8 for the old code page of the country; `;` between cells; CRLF at the
end of a line. Text is quoted and harmless (`csv_text.py`).
"""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from verger_rules.csv_text import harmless_column

BOM = b"\xef\xbb\xbf"
SEPARATOR = ";"
LINE_END = "\r\n"
# https://support.microsoft.com/en-us/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3
#: Of a sheet, less the header. Excel would leave out what is below without keeping it.
MOST_ROWS = 1_048_575


def excel_name(name: str) -> str:
    """The name of a CSV file's twin for Excel."""
    return f"{name.removesuffix('.csv')}-excel.csv"


def excel_header(names: Iterable[str]) -> bytes:
    """The beginning of a file: its mark and its header; no name may hold a separator or a quote."""
    return BOM + f"{SEPARATOR.join(names)}{LINE_END}".encode()


def excel_rows(table: pa.Table) -> bytes:
    """Rows without a header. Columns are text, float64, or what pyarrow writes as text (integers); none has nulls."""
    if table.num_rows == 0:
        return b""
    lines = pc.binary_join_element_wise(*(_cells(column) for column in table.columns), SEPARATOR).combine_chunks()
    whole = pa.ListArray.from_arrays(pa.array([0, len(lines)], pa.int32()), lines)
    return f"{pc.binary_join(whole, LINE_END)[0].as_py()}{LINE_END}".encode()


def excel_file(rows: pa.Table) -> bytes:
    """A whole file."""
    return excel_header(rows.column_names) + excel_rows(rows)


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        doubled = pc.replace_substring(harmless_column(column), '"', '""')
        return pc.binary_join_element_wise('"', doubled, '"', "")
    text = column.cast(pa.string())
    return pc.replace_substring(text, ".", ",") if pa.types.is_floating(column.type) else text

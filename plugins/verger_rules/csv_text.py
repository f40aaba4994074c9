"""Text in CSV files, harmless to spreadsheets: the rule of docs/formats.md."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

# https://owasp.org/www-community/attacks/CSV_Injection
#: What may separate cells where a file is opened: a comma, in many countries a semicolon, a tab, a bar, a line break.
SEPARATORS = "\\t\\n\\x0b\\x0c\\r\\x1c-\\x1f,;|\\x85\u2028\u2029"
#: What a spreadsheet drops at the beginning of a cell, or nobody sees: spaces, controls, zero widths, BOM, quotes.
UNSEEN = "\\x00-\\x20\\x22\\x7f-\\xa0\\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
#: What begins a formula, and what East Asian spreadsheets take for the same.
SIGNS = "=+\\-@\u207a\u207c\u208a\u208c\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20"

#: A sign at the beginning of a text, or of what becomes a cell where another separator is taken.
FORMULA = f"(^|[{SEPARATORS}])([{UNSEEN}]*)('*)([{SIGNS}])"
MADE_HARMLESS = f"(^|[{SEPARATORS}])([{UNSEEN}]*)'('*)([{SIGNS}])"
#: A text that begins with a tab or a line break.
CONTROL = "^('*[\\t\\n\\r])"
MADE_PLAIN = "^'('*[\\t\\n\\r])"

_FORMULA, _MADE_HARMLESS, _CONTROL, _MADE_PLAIN = map(re.compile, (FORMULA, MADE_HARMLESS, CONTROL, MADE_PLAIN))

_QUOTED = ";|\t\r\n"


def harmless(text: str) -> str:
    """A text with a `'` before each sign that a spreadsheet would take for the beginning of a formula."""
    return _CONTROL.sub(r"'\1", _FORMULA.sub(r"\1\2'\3\4", text))


def harmless_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of texts, each made `harmless`."""
    signs = pc.replace_substring_regex(column, pattern=FORMULA, replacement=r"\1\2'\3\4")
    return pc.replace_substring_regex(signs, pattern=CONTROL, replacement=r"'\1")


def as_it_was(text: str) -> str:
    """The text that `harmless` was given, for any text that came of it."""
    return _MADE_HARMLESS.sub(r"\1\2\3\4", _MADE_PLAIN.sub(r"\1", text))


def csv_line(cells: Iterable[object]) -> str:
    """Cells as a line of CSV without its end; what holds a separator of any country is quoted (RFC 4180).

    csv quotes what holds a character of its line's end: while it writes, that has them all.
    """
    stored = io.StringIO()
    csv.writer(stored, lineterminator=_QUOTED).writerow(cells)
    return stored.getvalue().removesuffix(_QUOTED)


def harmless_rows(rows: pa.Table) -> Iterator[Sequence[object]]:
    """The rows of a table, each text made `harmless`."""
    columns = [harmless_column(column) if pa.types.is_string(column.type) else column for column in rows.columns]
    return zip(*(column.to_pylist() for column in columns), strict=True)


def to_text_csv(lines: Iterable[Sequence[object]]) -> bytes:
    """Lines of a CSV file of text that is harmless already, and numbers; they end with a newline only."""
    return "".join(f"{csv_line(cells)}\n" for cells in lines).encode()

"""Review files as the explorer exports them and as spreadsheets save them again."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from verger_rules.csv_text import csv_line, harmless

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = ("path", "label", "mark", "new_label", "note")


def exported(rows: Sequence[Mapping[str, str]], columns: Sequence[str] = COLUMNS) -> bytes:
    """The file as the explorer writes it: RFC 4180, UTF-8, harmless cells."""
    lines = [columns, *([harmless(row.get(name, "")) for name in columns] for row in rows)]
    return "".join(f"{csv_line(cells)}\n" for cells in lines).encode()


def saved_again(content: bytes, *, separator: str, line_end: str, encoding: str, quote_all: bool) -> bytes:
    """The same cells as a spreadsheet writes them."""
    stored = io.StringIO(newline="")
    for cells in csv.reader(io.StringIO(content.decode(), newline="")):
        stored.write(separator.join(_cell(cell, separator, quoted=quote_all) for cell in cells) + line_end)
    return stored.getvalue().encode(encoding)


def _cell(text: str, separator: str, *, quoted: bool) -> str:
    """Unlike Python's csv, spreadsheets quote every kind of line break, whatever ends the lines."""
    if quoted or any(character in text for character in (separator, '"', "\r", "\n")):
        return '"{}"'.format(text.replace('"', '""'))
    return text

"""Files without the selected pictures: pure functions from a file's bytes to how much they hold and to clean bytes."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from verger.storage.file_names import one_form
from verger_rules.csv_text import as_it_was
from verger_rules.layout import JUDGED_IMAGES
from verger_rules.row_parts import PART_ROWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tools.erasure.selection import Selection

ERASED = "(erased)"
#: The files of an explorer that name who is in it.
EXPLORED = ("all.parquet", "points.parquet", "rejects.parquet")

Cleaned = tuple[int, bytes]


def clean_parquet(content: bytes, selection: Selection) -> Cleaned:
    """How many rows are selected, and the file without them. Raises pa.ArrowInvalid for what is no Parquet."""
    table = pq.read_table(io.BytesIO(content))
    mask = selection.mask(table["path"], table["label"])
    rows = pc.sum(mask).as_py() or 0
    return rows, parquet_bytes(table.filter(pc.invert(mask))) if rows else content


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as Parquet, compressed and cut as all of Verger's are."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=PART_ROWS)
    return sink.getvalue()


def clean_csv(content: bytes, selection: Selection) -> Cleaned:
    """How many lines are selected, and the file without them; the other lines stay byte by byte."""
    return _clean_lines(content, selection, ",")


def clean_excel_csv(content: bytes, selection: Selection) -> Cleaned:
    """As `clean_csv`, for a file that begins with a byte-order mark and has `;` between its cells."""
    return _clean_lines(content, selection, ";")


def _clean_lines(content: bytes, selection: Selection, separator: str) -> Cleaned:
    lines = list(_csv_lines(content.decode()))
    if not lines:
        return 0, content
    header = _cells(lines[0].removeprefix("\ufeff"), separator)
    if "path" not in header:
        return 0, content
    cells = (dict(zip(header, _cells(line, separator), strict=False)) for line in lines[1:])
    kept = [line for line, cell in zip(lines[1:], cells, strict=True) if not _is_selected(cell, selection)]
    return len(lines) - 1 - len(kept), "".join([lines[0], *kept]).encode()


def _csv_lines(text: str) -> Iterator[str]:
    """The records with their line ends; one with line breaks inside quotes is one."""
    held = ""
    for part in io.StringIO(text, newline=""):
        held += part
        if held.count('"') % 2 == 0:
            yield held
            held = ""
    if held:
        yield held


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator))


def _is_selected(cells: Mapping[str, str], selection: Selection) -> bool:
    label, path = (as_it_was(cells.get(name, "")) for name in ("label", "path"))
    return one_form(label) in selection.labels or selection.means(path)


def clean_json(content: bytes, selection: Selection) -> Cleaned:
    """How many texts are the address or the key of a selected picture, and the file with `(erased)` in their place."""
    count = 0

    def left_out(name: str) -> str:
        nonlocal count
        if name == ERASED or not selection.means_left_out(name):
            return name
        count += 1
        return ERASED

    def clean(value: Any) -> Any:  # noqa: ANN401 - any JSON
        nonlocal count
        if isinstance(value, dict):
            if isinstance(value.get("examples"), list) and "reason" in value:
                # What was left out is named below the images prefix, not by an address.
                value = {**value, "examples": [left_out(name) for name in value["examples"]]}
            if "reason" in value and "name" in value:
                value = {**value, "name": left_out(value["name"])}
            return {name: clean(entry) for name, entry in value.items()}
        if isinstance(value, list):
            return [clean(entry) for entry in value]
        if isinstance(value, str) and selection.means_text(value):
            count += 1
            return ERASED
        return value

    cleaned = clean(json.loads(content))
    return count, json.dumps(cleaned, indent=1, ensure_ascii=False).encode() if count else content


def cleaner_of(key: str) -> Callable[[bytes, Selection], Cleaned] | None:
    """What cleans a file of this name; None when it holds nothing of single pictures that can be taken out."""
    folder, _, name = key.rpartition("/")
    if name in {"manifest.parquet", "matrix.parquet", JUDGED_IMAGES, *EXPLORED} or (
        folder.endswith("/answers") and name.endswith(".parquet")
    ):
        return clean_parquet
    if name in {"matrix.csv", "rejects.csv"}:
        return clean_csv
    if name in {"matrix-excel.csv", "rejects-excel.csv"}:
        return clean_excel_csv
    return clean_json if name.endswith(".json") else None

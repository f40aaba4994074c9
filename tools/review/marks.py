"""The marks of a review.csv: one row a picture, in whatever form a spreadsheet saved the file again."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from verger_rules.csv_text import as_it_was

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

WRONG_LABEL, REMOVE, LOOK_AGAIN = "wrong label", "remove", "look again"
MARKS = (WRONG_LABEL, REMOVE, LOOK_AGAIN)
NEEDED = ("path", "mark", "new_label")
OPTIONAL = ("label", "etag")
SEPARATORS = ",;\t|"
#: A review of a million pictures is smaller.
LARGEST_BYTES = 300_000_000
_MOST_TOLD = 10


class ReviewError(ValueError):
    """The review cannot be applied, and nothing was changed.

    Attributes:
        reasons: what is wrong, a line each.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        """Keep the reasons; the first ones are the message."""
        self.reasons = list(reasons)
        more = len(self.reasons) - _MOST_TOLD
        super().__init__("\n".join([*self.reasons[:_MOST_TOLD], *([f"and {more:,} more"] if more > 0 else [])]))


@dataclass(frozen=True)
class Mark:
    """One row.

    Attributes:
        line: the line of the file that it begins in, from 1.
        path: the picture's address.
        mark: one of MARKS.
        new_label: the label that is right; empty where the reviewer knew none.
        label: the label that the reviewer saw; empty where the file does not say.
        etag: the ETag that the picture had then; empty where the file does not say.
    """

    line: int
    path: str
    mark: str
    new_label: str = ""
    label: str = ""
    etag: str = ""


def read_marks(content: bytes) -> list[Mark]:
    """The rows of a review.csv. Raises ReviewError for a file without them, and for marks that are unknown."""
    records = list(_records(_text_of(content)))
    if not records:
        raise ReviewError(["the review is empty: it has no header"])
    (_, header), *rows = records
    names = _columns(header)
    marks: list[Mark] = []
    wrong: list[str] = []
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(names) :]):
            wrong.append(f"line {line}: it has {len(cells)} cells, and the header has {len(names)}")
            continue
        mark = _mark_of(line, dict(zip_longest(names, cells[: len(names)], fillvalue="")))
        if mark.mark not in MARKS:
            wrong.append(f"line {line}: the mark is {mark.mark!r}: write {', '.join(MARKS[:-1])} or {MARKS[-1]}")
        marks.append(mark)
    if wrong:
        raise ReviewError(wrong)
    return marks


def _text_of(content: bytes) -> str:
    """The file's text. A spreadsheet saves "Unicode text" as UTF-16."""
    if len(content) > LARGEST_BYTES:
        raise ReviewError(
            [f"the review has {len(content):,} bytes, more than {LARGEST_BYTES:,}: is it the right file?"]
        )
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReviewError([f'the review is not UTF-8 ({error.reason}): save it as "CSV UTF-8"']) from error


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """The records and the lines that they begin in; the separator is the one with which the header makes sense."""
    first, _, rest = text.partition("\n")
    skipped = 0
    if first.rstrip("\r").lower() in {f"sep={separator}" for separator in SEPARATORS}:
        text, skipped = rest, 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    line = skipped + 1
    try:
        for record in reader:
            yield line, record
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise ReviewError([f"line {line}: this is not CSV: {error}"]) from error


def _separator(text: str) -> str:
    for separator in SEPARATORS:
        try:
            header = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])
        except csv.Error:
            continue
        if set(NEEDED) <= {_name(cell) for cell in header}:
            return separator
    beginning = text.lstrip()[:80].splitlines()
    raise ReviewError(
        [f"the review's first line has no columns {', '.join(NEEDED)}; it begins with {(beginning or [''])[0]!r}"]
    )


def _columns(header: list[str]) -> list[str]:
    names = [_name(cell) for cell in header]
    twice = [name for name in (*NEEDED, *OPTIONAL) if names.count(name) > 1]
    if twice:
        raise ReviewError([f"the review has two columns {twice[0]}: which one counts?"])
    return names


def _name(cell: str) -> str:
    return as_it_was(cell).strip().lower()


def _mark_of(line: int, cells: Mapping[str, str]) -> Mark:
    texts = {name: as_it_was(cells.get(name, "")) for name in (*NEEDED, *OPTIONAL)}
    return Mark(
        line,
        path=texts["path"],
        mark=" ".join(texts["mark"].lower().split()),
        new_label=texts["new_label"],
        label=texts["label"],
        etag=texts["etag"].strip().strip('"'),
    )

"""Texts and columns of texts are made harmless for CSV files by the same rule, and can be read back."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from verger.cost.report import Report, RunLine, report_csv
from verger_rules.csv_text import as_it_was, csv_line, harmless, harmless_column, to_text_csv
from verger_rules.excel_csv import excel_file, excel_rows

from spark_jobs.pca.results_writer import to_csv

SIGNS = "=+-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u207a\u207c\u2212"
#: Ways in which a text can come to begin a cell.
BEGINNINGS = [
    "", " ", "\t", "\r", "\n", "\r\n", "\ufeff", "\u200b", "\xa0", "\u3000", '"', '""', "x;", "x,", "x\t", "x|", "x\n",
    "x\r", "x\u2028", "x\x85", "x; ", 'x;"', "x;\u200b", "x;;", ";", "x;\t", "x\n\t ",
]  # fmt: skip
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.lists(
    st.sampled_from([*BEGINNINGS, *SIGNS, "'", "x", "cmd|' /C calc'!A0"]), max_size=6
).map("".join)


def cells(line: str, separator: str) -> list[str]:
    """What a spreadsheet makes of a file where another separator is taken: quotes count at a cell's beginning only."""
    return [cell for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator) for cell in row]


def is_formula(cell: str) -> bool:
    seen = cell.lstrip('"\ufeff\u200b\xa0\u3000 \t\r\n')
    return seen[:1] in set(SIGNS) and bool(seen)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_formula_is_harmless_wherever_it_begins_and_whatever_separates(beginning: str, sign: str) -> None:
    text = f"{beginning}{sign}HYPERLINK(A1&B1);y"
    made = harmless(text)
    assert f"'{sign}HYPERLINK" in made
    line = to_csv(pa.table({"path": [text], "label": [text], "pc_1": [0.5]})).decode()
    for_excel = excel_rows(pa.table({"path": [text], "label": [text]})).decode()
    rejects = to_text_csv([("path", "detail"), (made, made)]).decode()
    for separator in ",;\t|":
        assert not any(map(is_formula, cells(line, separator))), (line, separator)
        assert not any(map(is_formula, cells(rejects, separator))), (rejects, separator)
        assert not any(map(is_formula, cells(for_excel, separator))), (for_excel, separator)


@given(TEXT)
@example("'=")
@example("x;'=1")
@example("x;'\t=1")
@example("\t'=1")
@example("'\t=")
def test_a_text_that_was_made_harmless_reads_back_as_it_was(text: str) -> None:
    made = harmless(text)
    assert as_it_was(made) == text
    assert made[:1] not in {*SIGNS, "\t", "\r", "\n"} or not made


@given(st.lists(st.none() | TEXT), st.integers(0, 3))
@example(["x;'=1", None, "'\t=", "x\u2028\u3000'=", "\u180e+"], 2)
def test_a_column_is_made_harmless_as_each_of_its_texts_is(texts: list[str | None], cut: int) -> None:
    """Two engines read the same expression: Python's and Arrow's."""
    column = pa.chunked_array([texts[:cut], texts[cut:]], pa.string())
    assert harmless_column(column).to_pylist() == [text if text is None else harmless(text) for text in texts]


@pytest.mark.parametrize(
    "text", ["Apple Braeburn", "Golden - 1", "a+b=c@d", "Pêche 1", "x;y", "it's", "s3://b/images/a-1.jpg"]
)
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(TEXT, NUMBERS, st.integers(0, 9)), max_size=4))
def test_excels_file_holds_the_same_rows_with_semicolons_and_decimal_commas(rows: list[tuple[str, float, int]]) -> None:
    columns = {
        "path": [row[0] for row in rows],
        "pc_1": [row[1] for row in rows],
        "component": [row[2] for row in rows],
    }
    schema = pa.schema([("path", pa.string()), ("pc_1", pa.float64()), ("component", pa.int32())])
    content = excel_file(pa.table(columns, schema=schema))
    assert content.startswith(b"\xef\xbb\xbfpath;pc_1;component\r\n")
    assert content.endswith(b"\r\n")
    header, *read = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";")
    assert header == ["path", "pc_1", "component"]
    assert [(as_it_was(path), float(score.replace(",", ".")), int(n)) for path, score, n in read] == rows
    assert not any("." in score for _, score, _ in read)


@given(st.lists(TEXT, min_size=1, max_size=3))
def test_each_file_has_as_many_cells_as_columns_where_a_comma_separates(texts: list[str]) -> None:
    made = [harmless(text) for text in texts]
    (row,) = csv.reader(
        io.StringIO(to_csv(pa.table({str(n): [text] for n, text in enumerate(texts)})).decode(), newline="")
    )
    assert row == made
    _, row = csv.reader(io.StringIO(to_text_csv([["c"] * len(made), made]).decode(), newline=""))
    assert row == made


def test_a_semicolon_in_the_only_text_of_a_line_ends_no_cell() -> None:
    line = to_csv(pa.table({"path": ["s3://b/images/x;y/1.jpg"], "pc_1": [0.5]})).decode()
    assert len(cells(line, ";")) == 1
    assert len(cells(line, ",")) == 2


def test_the_cost_report_follows_the_same_rule() -> None:
    line = RunLine("x;=1+1", "\uff1dd", "failed", "2026-11-27", 1, 0.5, None, None, 1, 1.0, 1.0, 0.0, 0.0, "")
    now = "2026-11-27"
    text = report_csv(Report(now, now, (line,), None)).decode()  # type: ignore[arg-type] # the dates are not written
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert dict(zip(header, row, strict=True))["run_id"] == "x;'=1+1"
    assert dict(zip(header, row, strict=True))["dag_id"] == "'\uff1dd"
    assert not any(map(is_formula, cells(text, ";")))


@given(st.lists(TEXT | st.integers(), min_size=1, max_size=4))
def test_a_line_reads_back_as_its_cells(row: list[str | int]) -> None:
    line = csv_line(row)
    (read,) = csv.reader(io.StringIO(line, newline="")) if line else [[""]]
    assert read == [str(cell) for cell in row]

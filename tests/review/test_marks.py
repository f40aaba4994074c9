"""A review.csv says the same whatever a spreadsheet made of it; what it cannot say is refused with its line."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.review.csv_files import COLUMNS, exported, saved_again
from tools.review.marks import MARKS, Mark, ReviewError, read_marks

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text("='\"+-@;,|\t\r\n a", max_size=8)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "path": TEXT.map("s3://b/images/{}".format),
            "label": TEXT,
            "mark": st.sampled_from(MARKS),
            "new_label": TEXT,
            "note": TEXT,
            "seen by": TEXT,
            "etag": st.sampled_from(["", "9a0364b9e99bb480dd25e1f0284c8555", "9a03-2"]),
        }
    ),
    max_size=4,
)
ORDERS = st.permutations([*COLUMNS, "seen by", "etag"])


def meant(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: row[name] for name in row if name not in {"note", "seen by"}} for row in rows]


def told(marks: list[Mark]) -> list[dict[str, str]]:
    return [{name: value for name, value in vars(mark).items() if name != "line"} for mark in marks]


def ordered(rows: list[dict[str, str]]) -> list[list[tuple[str, str]]]:
    return [sorted(row.items()) for row in rows]


@given(ROWS, ORDERS)
def test_what_the_explorer_exports_is_read_as_it_was(rows: list[dict[str, str]], order: list[str]) -> None:
    assert ordered(told(read_marks(exported(rows, order)))) == ordered(meant(rows))


@given(
    ROWS,
    ORDERS,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
@example([{"path": "s3://b/images/=1;-2\r\n.jpg", "mark": "remove"}], list(COLUMNS), ";", "\r\n", "utf-8-sig", False)
def test_a_file_that_a_spreadsheet_saved_again_is_the_same(
    rows: list[dict[str, str]],
    order: list[str],
    separator: str,
    line_end: str,
    encoding: str,
    quote_all: bool,
) -> None:
    content = exported(rows, order)
    again = saved_again(content, separator=separator, line_end=line_end, encoding=encoding, quote_all=quote_all)
    assert read_marks(again) == read_marks(content)


def test_empty_lines_empty_columns_and_a_line_that_names_the_separator_are_no_marks() -> None:
    content = "sep=;\r\nPath;new_label;MARK;;\r\n;;;;\r\ns3://b/images/a.jpg;;Look  again;;\r\n\r\n;;;;\r\n"
    assert read_marks(content.encode("utf-8-sig")) == [Mark(4, "s3://b/images/a.jpg", "look again")]


def test_a_cell_that_lost_its_prefix_in_a_spreadsheet_is_read_as_well() -> None:
    kept, lost = (f"path,mark,new_label\ns3://b/i/a.jpg,wrong label,{label}\n".encode() for label in ("'=x", "=x"))
    assert read_marks(kept) == read_marks(lost) == [Mark(2, "s3://b/i/a.jpg", "wrong label", "=x")]


HEADER = b"path,label,mark,new_label,note\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "has no columns"),
        (b"path,label\ns3://b/images/a.jpg,a\n", "has no columns path, mark, new_label; it begins with 'path,label'"),
        (b"path,mark,mark,new_label\n", "two columns mark"),
        (HEADER + b's3://b/images/a.jpg,a,remove,,"one\nnote"\ns3://b/images/b.jpg,a,keep,,\n', "line 4: the mark is"),
        (HEADER + b"s3://b/images/a.jpg,a,,,\n", "line 2: the mark is ''"),
        (HEADER + b"s3://b/images/a,b.jpg,a,remove,,note\n", "line 2: it has 6 cells, and the header has 5"),
        (HEADER + b'"s3://b/images/a.jpg\n', "line 2: this is not CSV"),
        (HEADER + b"s3://b/images/p\xeache.jpg,a,remove,,\n", "not UTF-8"),
    ],
)
def test_what_is_not_a_review_is_refused_with_its_line(content: bytes, complaint: str) -> None:
    with pytest.raises(ReviewError) as raised:
        read_marks(content)
    assert complaint in str(raised.value)


def test_many_wrong_lines_are_counted_and_the_first_ones_are_told() -> None:
    with pytest.raises(ReviewError) as raised:
        read_marks(HEADER + b"s3://b/images/a.jpg,a,keep,,\n" * 15)
    lines = str(raised.value).splitlines()
    assert (lines[0][:7], lines[-1], len(raised.value.reasons)) == ("line 2:", "and 5 more", 15)

"""A run's answers: one for each image, each where its features are or why there are none, or none at all."""

from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from verger_rules.answers import (
    AnswersError,
    check_answers,
    checked_parts,
    disagreement,
    has_features,
)
from verger_rules.schemas import ANSWERS

PATHS = st.lists(st.text(max_size=3), max_size=6)


def table_of(*paths: str, **changes: Any) -> pa.Table:
    kind = {"label": "", "etag": "1", "file": "f", "row": 0, **changes}
    return pa.Table.from_pylist([{"path": path, **kind} for path in paths], schema=ANSWERS)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([table_of("a").drop_columns(["row"])], "they do not have the columns path, label"),
        ([pa.table({name: [[1]] for name in ANSWERS.names})], "they do not have the columns path, label"),
        ([table_of("a", "b"), table_of("b", "c")], "answered twice or out of order, first 'b'"),
        ([table_of("c"), table_of("a", "b")], "answered twice or out of order, first 'a'"),
        ([table_of("a"), table_of("b", stage="read")], "features and a reason to have none, or neither, first 'b'"),
        ([table_of("a"), table_of("b", file=None)], "features and a reason to have none, or neither, first 'b'"),
    ],
    ids=["a column lacks", "other types", "twice", "files out of order", "both", "neither"],
)
def test_files_that_are_no_answers_are_refused(files: list[pa.Table], told: str) -> None:
    with pytest.raises(AnswersError, match=told):
        list(checked_parts(files))


@given(PATHS, st.data())
def test_parts_pass_when_their_paths_ascend_within_each_and_from_each_to_the_next(
    paths: list[str], data: st.DataObject
) -> None:
    cuts = sorted({0, len(paths), *data.draw(st.lists(st.integers(0, len(paths))))})
    parts = [table_of(*paths[start:stop]) for start, stop in pairwise(cuts)]
    if all(one.encode() < other.encode() for one, other in pairwise(paths)):
        assert [path for part in checked_parts(parts) for path in part["path"].to_pylist()] == paths
    else:
        with pytest.raises(AnswersError, match="twice or out of order"):
            list(checked_parts(parts))


def test_columns_may_lie_in_another_order_and_there_may_be_more() -> None:
    one = table_of("a", "b")
    other = one.select(ANSWERS.names[::-1]).append_column("new", pa.array([1, 2]))
    assert list(checked_parts([other])) == [one]


@given(PATHS, PATHS)
@example(["a", "b"], ["a", "b"])
@example(["a", "a"], ["a", "a"])
@example(["b", "a"], ["b", "a"])
def test_answers_pass_when_each_listed_path_has_exactly_one_in_order(listed: list[str], answered: list[str]) -> None:
    answers = table_of(*answered)
    # Arrow and this test compare texts alike: by their UTF-8 bytes.
    ascending = all(one.encode() < other.encode() for one, other in pairwise(answered))
    paths = pa.chunked_array([listed], pa.string())
    if listed == answered and ascending:
        assert check_answers(answers, paths) is answers
        return
    with pytest.raises(AnswersError):
        check_answers(answers, paths)


@given(PATHS, PATHS, st.integers(0, 6))
def test_what_two_lists_do_not_share_is_counted_and_named(left: list[str], right: list[str], cut: int) -> None:
    only_left = [path for path in left if path not in right]
    only_right = [path for path in right if path not in left]
    expected = []
    if only_left:
        expected.append(f"{len(only_left)} here and not there, first {only_left[0]!r}")
    if only_right:
        expected.append(f"{len(only_right)} there and not here, first {only_right[0]!r}")
    told = disagreement(
        pa.chunked_array([left[:cut], left[cut:]], pa.string()), pa.chunked_array([right], pa.string()), "here", "there"
    )
    assert told == ("; ".join(expected) or f"{len(left)} here, {len(right)} there: some twice, or in another order")


def test_an_answer_has_features_when_it_names_a_file() -> None:
    both = pa.concat_tables([table_of("a"), table_of("b", file=None, row=None, stage="read")])
    assert has_features(both).to_pylist() == [True, False]

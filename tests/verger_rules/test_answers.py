"""A run's answers: one for each image, each where its features are or why there are none, or none at all."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from verger_rules import answers as rules
from verger_rules.answering import UNANSWERED
from verger_rules.answers import (
    REASONS,
    AnswersError,
    answer_files,
    check_answers,
    disagreement,
    has_features,
    join_answers,
    make_answers,
)
from verger_rules.delta_table import TableFile
from verger_rules.schemas import ANSWERS, FEATURIZED, KEYS, MANIFEST, REJECTED
from verger_rules.table_keys import TableKeys

PATHS = st.lists(st.text(max_size=3), max_size=6)


class World(NamedTuple):
    """A table of some files, what was read of them, and a manifest with the row that answers each image."""

    table: TableKeys
    manifest: pa.Table
    rows: list[int]
    reads: list[str]

    def read(self, name: str, columns: Sequence[str]) -> pa.Table:
        """The reasons of a file's rows, which tell where they lie."""
        self.reads.append(name)
        assert list(columns) == list(REASONS)
        (file,) = (file for file in self.table.files if file.name == name)
        told = [{"stage": "decode", "reason": f"{name}:{row}", "detail": ""} for row in range(file.rows)]
        return pa.Table.from_pylist(told, schema=pa.schema([ANSWERS.field(column) for column in columns]))

    def answers(self) -> pa.Table:
        """What featurize would write."""
        return make_answers(self.manifest, self.table, np.array(self.rows, np.int64), self.read)


def world(files: Sequence[tuple[bool, int]], rows: Sequence[int]) -> World:
    """Files, each with features or rejects and so many rows, and the row that answers each image."""
    outcomes = [FEATURIZED if featurized else REJECTED for featurized, _ in files]
    stored = tuple(
        TableFile(f"outcome={outcome}/{at}.parquet", outcome, count, 9)
        for at, (outcome, (_, count)) in enumerate(zip(outcomes, files, strict=True))
    )
    counts = [count for _, count in files]
    table = TableKeys(
        files=stored,
        keys=pa.table({name: pa.nulls(sum(counts), KEYS.field(name).type) for name in KEYS.names}, schema=KEYS),
        file=np.repeat(np.arange(len(files), dtype=np.int64), counts),
        row=np.array([row for count in counts for row in range(count)], np.int64),
    )
    images = [{"path": f"{at:02}", "etag": f"e{at}", "label": f"l{at}", "size": 1} for at in range(len(rows))]
    return World(table, pa.Table.from_pylist(images, schema=MANIFEST), list(rows), [])


WORLDS = (
    st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=4)
    .flatmap(lambda files: st.tuples(st.just(files), st.permutations(range(sum(count for _, count in files)))))
    .map(lambda drawn: world(*drawn))
)


@given(WORLDS)
@example(world([(False, 2), (True, 1)], [1, 2]))
@example(world([(True, 1)], []))
def test_each_image_is_answered_by_its_row_or_by_the_reasons_of_its_own_reject(given: World) -> None:
    found = given.answers()
    assert found.schema == ANSWERS
    for image, row, answer in zip(given.manifest.to_pylist(), given.rows, found.to_pylist(), strict=True):
        file, inside = given.table.files[given.table.file[row]], int(given.table.row[row])
        featurized = file.outcome == FEATURIZED
        expected: dict[str, Any] = dict.fromkeys(ANSWERS.names)
        expected |= {name: image[name] for name in ("path", "label", "etag")}
        expected |= {"file": file.name, "row": inside} if featurized else {}
        expected |= {} if featurized else {"stage": "decode", "reason": f"{file.name}:{inside}", "detail": ""}
        assert answer == expected


@given(WORLDS)
def test_only_files_of_rejects_that_answer_are_read_and_each_once(given: World) -> None:
    given.answers()
    answering = {given.table.files[file] for file in given.table.file[given.rows]}
    assert sorted(given.reads) == sorted(file.name for file in answering if file.outcome == REJECTED)


def test_an_image_without_a_row_is_an_error_that_names_it() -> None:
    with pytest.raises(AnswersError, match="2 of 3 images have no row in the feature table, first '01'"):
        world([(True, 3)], [0, UNANSWERED, UNANSWERED]).answers()


@given(WORLDS, st.integers(1, 5))
def test_files_of_answers_are_joined_to_what_they_were(given: World, rows: int) -> None:
    answers = given.answers()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rules, "ANSWERS_ROWS", rows)
        files = answer_files(answers)
    assert len(files) == -(-answers.num_rows // rows)
    assert all(0 < file.num_rows <= rows for file in files)
    assert join_answers(files).equals(answers)


def table_of(*paths: str, **changes: Any) -> pa.Table:
    kind = {"label": "", "etag": "1", "file": "f", "row": 0, **changes}
    return pa.Table.from_pylist([{"path": path, **kind} for path in paths], schema=ANSWERS)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], "they do not have the columns path, label"),
        ([table_of("a").drop_columns(["row"])], "they do not have the columns path, label"),
        ([pa.table({name: [[1]] for name in ANSWERS.names})], "they do not have the columns path, label"),
        ([table_of("a", "b"), table_of("b", "c")], "answered twice or out of order, first 'b'"),
        ([table_of("c"), table_of("a", "b")], "answered twice or out of order, first 'a'"),
        ([table_of("a"), table_of("b", stage="read")], "features and a reason to have none, or neither, first 'b'"),
        ([table_of("a"), table_of("b", file=None)], "features and a reason to have none, or neither, first 'b'"),
    ],
    ids=["no file", "a column lacks", "other types", "twice", "files out of order", "both", "neither"],
)
def test_files_that_are_no_answers_are_refused(files: list[pa.Table], told: str) -> None:
    with pytest.raises(AnswersError, match=told):
        join_answers(files)


def test_columns_may_lie_in_another_order_and_there_may_be_more() -> None:
    one = table_of("a", "b")
    other = one.select(ANSWERS.names[::-1]).append_column("new", pa.array([1, 2]))
    assert join_answers([other]).equals(one)


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

"""Rows of a table and the images of a manifest: each image is answered by its row, and no file is read twice."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from verger_rules import answering as rules
from verger_rules import manifest_file
from verger_rules.answers import AnswersError
from verger_rules.delta_table import TableFile
from verger_rules.schemas import ANSWERS, FEATURIZED, KEYS, MANIFEST, REJECTED

from tests.answering_images import answering_images, answers_now, images_to_do
from tests.stored_tables import Row, table_of


class Store:
    """Files by name, which tells what was read of it."""

    def __init__(self, files: dict[TableFile, list[Row]]) -> None:
        self.tables = {
            file.name: table_of(rows)
            .drop_columns(["reason"])
            .append_column("reason", pa.array([f"{file.name} {row}" for row in range(len(rows))], pa.string()))
            for file, rows in files.items()
        }
        self.reads: list[tuple[str, bool]] = []

    def read(self, name: str, columns: Sequence[str]) -> pa.Table:
        """Some columns of a file."""
        self.reads.append((name, "reason" in columns))
        return self.tables[name].select(list(columns))


def stored(counts: Sequence[int]) -> dict[TableFile, list[Row]]:
    """Files of so many rows, alternately of features and of rejects."""
    found = {}
    for at, count in enumerate(counts):
        outcome, value = (REJECTED, None) if at % 2 else (FEATURIZED, 1.0)
        file = TableFile(f"outcome={outcome}/{at}.parquet", outcome, count, 100 + at)
        found[file] = [Row(f"{at}-{row}", value=value) for row in range(count)]
    return found


def listed(files: dict[TableFile, list[Row]]) -> pa.Table:
    """A manifest of the images that have a row."""
    images = sorted((row for rows in files.values() for row in rows), key=lambda row: row.path)
    return pa.Table.from_pylist(
        [{"path": row.path, "etag": row.etag, "label": f"l{row.path}", "size": 1} for row in images], schema=MANIFEST
    )


FILES = st.lists(st.integers(0, 3), max_size=6).map(stored)


def expected(files: dict[TableFile, list[Row]]) -> list[dict[str, Any]]:
    """What each image is answered with."""
    found = []
    for file, rows in files.items():
        for at, row in enumerate(rows):
            answer: dict[str, Any] = dict.fromkeys(ANSWERS.names)
            answer |= {"path": row.path, "label": f"l{row.path}", "etag": row.etag}
            if file.outcome == FEATURIZED:
                answer |= {"file": file.name, "row": at}
            else:
                answer |= {"stage": "decode", "reason": f"{file.name} {at}", "detail": ""}
            found.append(answer)
    return sorted(found, key=lambda answer: answer["path"])


@settings(max_examples=30)
@given(FILES, st.randoms(use_true_random=False), st.integers(1, 4), st.integers(1, 3))
def test_each_image_is_answered_by_its_row_or_by_the_reasons_of_its_own_reject(
    files: dict[TableFile, list[Row]], random: Random, part_rows: int, files_at_once: int
) -> None:
    named = list(files)
    random.shuffle(named)
    with pytest.MonkeyPatch.context() as patched:
        for module in (rules, manifest_file):
            patched.setattr(module, "PART_ROWS", part_rows)
        patched.setattr(rules, "_FILES_AT_ONCE", files_at_once)
        with answering_images(listed(files), named, Store(files).read, "r") as answering:
            parts = list(answering.answers())
    assert all(part.schema == ANSWERS and part.num_rows <= part_rows for part in parts)
    assert [answer for part in parts for answer in part.to_pylist()] == expected(files)


@settings(max_examples=30)
@given(FILES, st.data())
def test_known_files_are_not_read_again_and_rows_of_files_that_went_answer_nothing(
    files: dict[TableFile, list[Row]], data: st.DataObject
) -> None:
    """Files come and go: a chunk was committed, small files were merged."""
    some = st.lists(st.sampled_from(sorted(files)), unique=True) if files else st.just([])
    before, now = data.draw(some), data.draw(some)
    store = Store(files)
    with answering_images(listed(files), before, store.read, "r") as answering:
        store.reads.clear()
        answering.read_keys(now, store.read)
        answering.decide()
        todo = set(images_to_do(answering)["path"].to_pylist())
        assert answering.rows() == sum(file.rows for file in now)
    assert sorted(name for name, _ in store.reads) == sorted(
        {file.name for file in now} - {file.name for file in before}
    )
    assert todo == {row.path for file, rows in files.items() if file not in now for row in rows}


def test_why_is_read_of_rejects_alone() -> None:
    files = stored([1, 1])
    store = Store(files)
    answers_now(listed(files), files, store.read, "r")
    assert dict(store.reads) == {"outcome=featurized/0.parquet": False, "outcome=rejected/1.parquet": True}


def test_a_file_of_a_known_name_with_other_content_is_read_again() -> None:
    (file,) = files = stored([2])
    other = file._replace(rows=1, size=7)
    images = pa.Table.from_pylist([{"path": "new", "etag": "1", "label": "", "size": 1}], schema=MANIFEST)
    with answering_images(images, [file], Store(files).read, "r") as answering:
        assert images_to_do(answering).num_rows == 1
        answering.read_keys([other], Store({other: [Row("new")]}).read)
        answering.decide()
        assert images_to_do(answering).num_rows == 0


def test_columns_beside_the_keys_and_narrower_types_are_no_matter() -> None:
    (file,) = files = stored([2])
    table = table_of(files[file])

    def read(name: str, columns: Sequence[str]) -> pa.Table:
        assert (name, list(columns)) == (file.name, KEYS.names)
        return table.set_column(table.schema.get_field_index("decoder"), "decoder", table["decoder"].cast(pa.int16()))

    assert answers_now(listed(files), [file], read, "r") == answers_now(listed(files), [file], Store(files).read, "r")


def test_a_file_that_cannot_be_read_is_an_error_and_no_table_without_it() -> None:
    files = stored([2, 1])
    store = Store(files)
    del store.tables["outcome=rejected/1.parquet"]
    with pytest.raises(KeyError, match=r"outcome=rejected/1\.parquet"):
        answers_now(listed(files), files, store.read, "r")


def test_an_image_without_a_row_is_an_error_that_names_it() -> None:
    files = stored([3])
    (file,) = files
    with pytest.raises(AnswersError, match="3 of 3 images have no row in the feature table, first '0-0'"):
        answers_now(listed(files), [], Store(files).read, "r")
    one = Store({file: files[file][:1]})
    with pytest.raises(AnswersError, match="2 of 3 images have no row in the feature table, first '0-1'"):
        answers_now(listed(files), [file], one.read, "r")


@pytest.mark.parametrize("path", ["a\0b", "é", "e\u0301", "\U0001f34e", "'; DROP TABLE keys; --", "{retry}", "a\nb"])
def test_paths_of_any_characters_are_found_and_stay_what_they_are(path: str) -> None:
    file = TableFile("outcome=featurized/0.parquet", FEATURIZED, 1, 1)
    files = {file: [Row(path)]}
    assert answers_now(listed(files), files, Store(files).read, "r")["path"].to_pylist() == [path]

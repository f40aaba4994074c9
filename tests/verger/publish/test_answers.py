"""Answers, manifest and matrix tell of the same images, path by path, or nothing is published."""

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.publish import run_rows
from verger.publish.reconciliation import CountsDisagreeError
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import RunLayout
from verger_rules import manifest_file
from verger_rules.answers import AnswersError
from verger_rules.layout import answers_file
from verger_rules.schemas import ANSWERS

from tests.stored_tables import keys_below, read_object
from tests.verger.publish.local_rows import rows_of
from tests.verger.publish.stored_run import LISTED, MATRIX, publish_now, put_table

FEATURES = {"file": "outcome=featurized/x.parquet", "row": 0}
REASONS = {"stage": "decode", "reason": "truncated", "detail": ""}


def answer(path: str, *, featurized: bool = True, **changes: object) -> dict[str, object]:
    return {"path": path, "label": "", "etag": "1", **(FEATURES if featurized else REASONS), **changes}


def renamed(table: pa.Table, old: str, new: str) -> pa.Table:
    """A table in which one path is another's, in its place by path."""
    rows = [{**row, "path": new if row["path"] == old else row["path"]} for row in table.to_pylist()]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["path"])), schema=table.schema)


def without(table: pa.Table, path: str) -> pa.Table:
    return table.filter(pa.array([found != path for found in table["path"].to_pylist()]))


def twice(table: pa.Table, path: str) -> pa.Table:
    rows = [row for row in table.to_pylist() for _ in range(1 + (row["path"] == path))]
    return pa.Table.from_pylist(rows, schema=table.schema)


def changed(table: pa.Table, path: str, **changes: object) -> pa.Table:
    rows = [{**row, **(changes if row["path"] == path else {})} for row in table.to_pylist()]
    return pa.Table.from_pylist(rows, schema=table.schema)


def disagree(
    s3: S3Client,
    run: RunLayout,
    *,
    manifest: pa.Table = LISTED,
    matrix: pa.Table = MATRIX,
    answers: Callable[[pa.Table], pa.Table] = lambda table: table,
) -> str:
    """Publish a run of which something was changed, which moves no pointer; the error."""
    write_json(s3, run.layout.latest, {"run_id": "before"})
    put_table(s3, run.run_file("manifest.parquet"), manifest)
    put_table(s3, run.result_file("matrix.parquet"), matrix)
    first = run.answers.child(answers_file(0))
    put_table(s3, first, answers(read_object(s3, first)))
    results = keys_below(s3, run.layout.bucket, "results/")
    with pytest.raises(CountsDisagreeError) as raised:
        publish_now(s3, run)
    assert read_json(s3, run.layout.latest) == {"run_id": "before"}
    assert keys_below(s3, run.layout.bucket, "results/") == results, "nothing is written before all agrees"
    assert "clear add_featurize_step" in str(raised.value)
    return str(raised.value)


def test_an_image_that_was_listed_and_not_answered_is_named(s3: S3Client, run: RunLayout) -> None:
    assert "1 listed and not answered, first 'd'" in disagree(s3, run, answers=lambda table: without(table, "d"))


def test_an_image_that_was_answered_and_not_listed_is_named(s3: S3Client, run: RunLayout) -> None:
    assert "1 answered and not listed, first 'd'" in disagree(s3, run, manifest=without(LISTED, "d"))


def test_an_answer_for_another_image_is_found_though_the_counts_are_equal(s3: S3Client, run: RunLayout) -> None:
    told = disagree(s3, run, answers=lambda table: renamed(table, "d", "e"))
    assert "1 listed and not answered, first 'd'; 1 answered and not listed, first 'e'" in told


def test_an_image_with_features_that_the_matrix_lacks_is_named(s3: S3Client, run: RunLayout) -> None:
    assert "1 with features and not in the matrix, first 'b'" in disagree(s3, run, matrix=without(MATRIX, "b"))


def test_an_image_of_the_matrix_without_features_is_named(s3: S3Client, run: RunLayout) -> None:
    reject = {"file": None, "row": None, **REASONS}
    told = disagree(s3, run, answers=lambda table: changed(table, "b", **reject))
    assert "1 in the matrix and not with features, first 'b'" in told


def test_a_row_of_the_matrix_of_another_image_is_found_though_the_counts_are_equal(
    s3: S3Client, run: RunLayout
) -> None:
    told = disagree(s3, run, matrix=renamed(MATRIX, "c", "d"))
    assert "1 with features and not in the matrix, first 'c'; 1 in the matrix and not with features, first 'd'" in told


def test_a_row_that_the_matrix_has_twice_is_found(s3: S3Client, run: RunLayout) -> None:
    assert "3 with features, 4 in the matrix: some twice" in disagree(s3, run, matrix=twice(MATRIX, "a"))


def test_a_matrix_in_another_order_is_found(s3: S3Client, run: RunLayout) -> None:
    """Its scores would stand beside other pictures."""
    assert "or in another order" in disagree(s3, run, matrix=MATRIX.take([1, 0, 2]))


def test_an_image_that_is_answered_twice_is_named(s3: S3Client, run: RunLayout) -> None:
    assert "answered twice or out of order, first 'c'" in disagree(s3, run, answers=lambda table: twice(table, "c"))


def test_an_image_with_features_and_a_reject_is_named(s3: S3Client, run: RunLayout) -> None:
    told = disagree(s3, run, answers=lambda table: changed(table, "b", **REASONS))
    assert "features and a reason to have none, or neither, first 'b'" in told


def test_answers_of_other_columns_are_refused(s3: S3Client, run: RunLayout) -> None:
    assert "do not have the columns" in disagree(s3, run, answers=lambda table: table.drop_columns(["file"]))


def test_without_answers_nothing_is_published(s3: S3Client, run: RunLayout) -> None:
    s3.delete_object(Bucket=run.layout.bucket, Key=run.answers.child(answers_file(0)).key)
    with pytest.raises(CountsDisagreeError, match=f"{run.answers.uri}/ holds none.*clear add_featurize_step"):
        publish_now(s3, run)
    assert read_json(s3, run.layout.latest) is None


def test_answers_that_are_no_parquet_file_are_one_clear_error(s3: S3Client, run: RunLayout) -> None:
    s3.put_object(Bucket=run.layout.bucket, Key=run.answers.child(answers_file(0)).key, Body=b"half a fi")
    with pytest.raises(CountsDisagreeError, match=f"{run.answers.uri}/ cannot be read"):
        publish_now(s3, run)


PATHS = st.lists(st.sampled_from("abcde"), max_size=5)


@given(listed=PATHS, featurized=PATHS, rejected=PATHS, matrix=PATHS)
@example(listed=list("abc"), featurized=list("ac"), rejected=["b"], matrix=list("ac"))
@example(listed=[], featurized=[], rejected=[], matrix=[])
def test_what_passes_is_one_answer_for_each_image_and_one_row_for_each_with_features(
    listed: list[str], featurized: list[str], rejected: list[str], matrix: list[str]
) -> None:
    found = sorted([(path, True) for path in featurized] + [(path, False) for path in rejected])
    answers = pa.Table.from_pylist([answer(path, featurized=has) for path, has in found], schema=ANSWERS)
    agree = [path for path, _ in found] == listed and [path for path, has in found if has] == matrix
    ascending = all(one < other for one, other in pairwise(path for path, _ in found))
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(Path(folder), listed, answers, matrix)
        for part_rows in (1, 2, 20_000):
            with pytest.MonkeyPatch.context() as patched:
                for module in (run_rows, manifest_file):
                    patched.setattr(module, "PART_ROWS", part_rows)
                if agree and ascending:
                    parts = list(rows.parts(["path"]))
                    assert [path for part in parts for path in part.matrix["path"].to_pylist()] == matrix
                    assert [part.first for part in parts] == list(range(0, len(listed), part_rows))
                else:
                    with pytest.raises(AnswersError):
                        list(rows.parts(["path"]))

"""Which rows of the feature table count, which of them answers an image, and how work is cut."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spark_jobs.commit_records import CommitRecord, TableFiles, from_json, next_chunk, to_json, visible
from spark_jobs.committed_rows import (
    KEY_SCHEMA,
    UNANSWERED,
    CommittedFile,
    CommittedRows,
    answering_rows,
    decoded_otherwise,
    rows_to_do,
)
from verger_rules.addresses import S3Address
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.schemas import MANIFEST

from spark_jobs.chunking import chunks, image_costs, partition_bounds
from spark_jobs.job_errors import RefusedError
from spark_jobs.manifest import check_manifest

RECORD = CommitRecord(
    run_id="first",
    model_fingerprint="0123456789abcdef",
    chunk=0,
    committed_at="2026-11-21T12:00:00Z",
    features=TableFiles(2, ("run=first/chunk=0/part-0.parquet",)),
    rejects=TableFiles(0, ()),
)


def manifest(*images: tuple[str, str]) -> pa.Table:
    rows = [{"path": path, "etag": etag, "label": "x", "size": 1} for path, etag in images]
    return pa.Table.from_pylist(rows, schema=MANIFEST)


def committed(*tables: tuple[str, bool, Sequence[tuple[Any, ...]]]) -> CommittedRows:
    """Files in the order of their commits: the run, whether they hold features, and their rows.

    A row is its path, its etag and, where that is another one, the version of the decoder.
    """
    files = tuple(
        CommittedFile(S3Address("b", str(number)), replace(RECORD, run_id=run, chunk=number), is_features)
        for number, (run, is_features, _) in enumerate(tables)
    )
    rows = [
        (number, row, *key, DECODER_VERSION)[:5]
        for number, table in enumerate(tables)
        for row, key in enumerate(table[2])
    ]
    columns: list[tuple[Any, ...]] = list(zip(*rows, strict=True)) or [()] * 5
    return CommittedRows(
        files,
        pa.table([list(column) for column in columns[2:]], schema=KEY_SCHEMA),
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int64),
    )


def test_an_image_is_answered_by_its_path_and_etag_from_any_run() -> None:
    table = committed(("old", True, [("b", "1"), ("a", "1")]))
    assert answering_rows(manifest(("a", "1"), ("b", "2"), ("c", "1")), table, "new").tolist() == [
        1,
        UNANSWERED,
        UNANSWERED,
    ]


def test_an_image_replaced_after_listing_is_answered_by_this_runs_row() -> None:
    table = committed(("this", True, [("a", "now")]))
    assert answering_rows(manifest(("a", "listed")), table, "this").tolist() == [0]
    assert answering_rows(manifest(("a", "listed")), table, "other").tolist() == [UNANSWERED]


def test_features_win_over_a_reject_and_the_later_commit_over_the_earlier() -> None:
    image = [("a", "1")]
    assert answering_rows(manifest(*image), committed(("r", True, image), ("s", False, image)), "t").tolist() == [0]
    assert answering_rows(manifest(*image), committed(("r", False, image), ("s", False, image)), "t").tolist() == [1]
    assert answering_rows(manifest(*image), committed(("r", True, image), ("s", True, image)), "t").tolist() == [1]


OLDER = DECODER_VERSION - 1
NEWER = DECODER_VERSION + 1


@pytest.mark.parametrize("decoder", [OLDER, NEWER], ids=["an older", "a newer"])
@pytest.mark.parametrize("is_features", [True, False], ids=["features", "reject"])
def test_what_another_decoder_made_answers_nothing_not_even_in_the_same_run(decoder: int, is_features: bool) -> None:
    table = committed(("this", is_features, [("a", "1", decoder)]))
    for run in ("this", "other"):
        assert answering_rows(manifest(("a", "1")), table, run).tolist() == [UNANSWERED]
        assert rows_to_do(manifest(("a", "1")), table, run, retry_rejects=False).num_rows == 1


def test_a_reject_of_this_decoder_wins_over_the_features_of_an_older_one() -> None:
    table = committed(("new", False, [("a", "1")]), ("old", True, [("a", "1", OLDER)]))
    assert answering_rows(manifest(("a", "1")), table, "t").tolist() == [0]


def test_what_is_computed_again_because_of_the_decoder_is_counted_apart() -> None:
    images = manifest(("again", "1"), ("changed", "2"), ("new", "1"), ("twice", "1"))
    old = [("again", "1", OLDER), ("changed", "1", OLDER), ("twice", "1", OLDER), ("gone", "1", OLDER)]
    table = committed(("old", True, old), ("rejects", False, [("twice", "1", NEWER)]))
    assert decoded_otherwise(images, table) == 2
    assert decoded_otherwise(images, committed()) == 0


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("12"), st.sampled_from([OLDER, DECODER_VERSION, NEWER])),
        max_size=20,
    ),
    st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_an_image_is_to_do_unless_this_decoder_made_a_row_of_it(
    rows: list[tuple[str, str, int]], features: list[bool]
) -> None:
    table = committed(*(("old", kind, [row]) for row, kind in zip(rows, features, strict=False)))
    listed = [("a", "1"), ("b", "2"), ("c", "1")]
    todo = rows_to_do(manifest(*listed), table, "this", retry_rejects=False)
    assert todo["path"].to_pylist() == [path for path, etag in listed if (path, etag, DECODER_VERSION) not in rows]
    again = {(path, etag) for path, etag, decoder in rows if decoder != DECODER_VERSION}
    assert decoded_otherwise(todo, table) == sum(
        pair in again for pair in listed if pair[0] in todo["path"].to_pylist()
    )


def test_rows_of_other_images_and_an_empty_table_answer_nothing() -> None:
    assert answering_rows(manifest(("a", "1")), committed(), "t").tolist() == [UNANSWERED]
    assert answering_rows(manifest(("a", "1")), committed(("r", True, [("z", "1")])), "t").tolist() == [UNANSWERED]


def test_a_retry_of_rejects_takes_those_of_earlier_runs_only() -> None:
    images = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]
    table = committed(("old", True, images[:1]), ("old", False, images[1:2]), ("this", False, images[2:3]))
    for retry, expected in ((False, ["d"]), (True, ["b", "d"])):
        todo = rows_to_do(manifest(*images), table, "this", retry_rejects=retry)
        assert todo["path"].to_pylist() == expected


def test_a_commit_record_is_read_as_it_was_written() -> None:
    record = replace(RECORD, replaces=("other.00001",))
    assert from_json(json.dumps(to_json(record)).encode(), "here") == record


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 2}', b"\xff"])
def test_what_is_no_commit_record_is_refused_by_its_name(content: bytes) -> None:
    with pytest.raises(RefusedError, match=r"s3://b/x\.json"):
        from_json(content, "s3://b/x.json")


def test_replaced_records_do_not_count_and_the_others_come_by_time() -> None:
    late = replace(RECORD, chunk=1, committed_at="2026-11-22T00:00:00Z")
    merged = replace(RECORD, run_id="merge", committed_at="2026-11-23T00:00:00Z", replaces=(RECORD.name,))
    assert visible([merged, late, RECORD]) == [late, merged]
    assert visible([late, RECORD]) == [RECORD, late]


def test_a_run_goes_on_with_the_chunk_that_was_never_committed() -> None:
    assert next_chunk([], "first") == 0
    assert next_chunk([RECORD, replace(RECORD, chunk=4), replace(RECORD, run_id="other", chunk=9)], "first") == 5


def test_a_chunk_that_was_replaced_keeps_its_number_when_its_record_is_gone() -> None:
    """A sweep or an erasure deletes replaced records; a new one of the same name would be taken for the old one."""
    others = ("first.00012", replace(RECORD, run_id="other", chunk=30).name)
    merged = replace(RECORD, run_id="merge", replaces=(RECORD.name, replace(RECORD, chunk=7).name, *others))
    assert next_chunk([merged], "first") == 8
    new = replace(RECORD, chunk=next_chunk([merged], "first"))
    assert new in visible([merged, new])


@given(st.integers(1, 50), st.integers(1, 60))
def test_chunks_hold_every_image_once_and_in_order(images: int, size: int) -> None:
    table = manifest(*((f"{number:03d}", "1") for number in range(images)))
    parts = list(chunks(table, size))
    assert pa.concat_tables(parts).equals(table)
    assert max(part.num_rows for part in parts) <= size


@given(st.lists(st.integers(0, 50_000_000), min_size=1, max_size=400), st.integers(1, 9))
def test_partitions_hold_every_image_once_and_weigh_about_the_same(sizes: list[int], slots: int) -> None:
    array = np.array(sizes, np.int64)
    bounds = partition_bounds(array, slots)
    assert bounds[0] == 0
    assert bounds[-1] == len(sizes)
    assert bounds == sorted(set(bounds))
    costs = image_costs(array)
    heaviest = max(costs[start:stop].sum() for start, stop in itertools.pairwise(bounds))
    count = len(bounds) - 1
    assert heaviest <= costs.sum() / max(1, min(3 * slots, len(sizes))) + 2 * costs.max()
    assert count <= max(len(sizes), 1)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "lists no image"),
        ([("b", "1"), ("a", "1")], "not unique and ascending by path, first at 'a'"),
        ([("a", "1"), ("a", "2")], "not unique and ascending by path, first at 'a'"),
    ],
)
def test_a_manifest_must_be_unique_and_ascending(images: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        check_manifest(manifest(*images), "s3://b/m")


def test_a_manifest_with_an_empty_cell_is_refused() -> None:
    table = pa.Table.from_pylist([{"path": "a", "etag": None, "label": "x", "size": 1}], schema=MANIFEST)
    with pytest.raises(RefusedError, match="empty cell"):
        check_manifest(table, "s3://b/m")

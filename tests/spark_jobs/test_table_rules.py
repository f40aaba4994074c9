"""Which rows of the feature table count, which of them answers an image, and how work is cut."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger_rules.answering import UNANSWERED, answering_rows, decoded_otherwise, rows_to_do
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile
from verger_rules.layout import run_slug
from verger_rules.schemas import FEATURIZED, KEYS, MANIFEST, REJECTED
from verger_rules.table_keys import TableKeys, read_keys

from spark_jobs.job_errors import RefusedError
from spark_jobs.steps.chunking import chunks, image_costs, partition_bounds
from spark_jobs.steps.manifest import check_manifest
from tests.stored_tables import NOON


def manifest(*images: tuple[str, str]) -> pa.Table:
    rows = [{"path": path, "etag": etag, "label": "x", "size": 1} for path, etag in images]
    return pa.Table.from_pylist(rows, schema=MANIFEST)


def stored(*tables: tuple[str, bool, Sequence[tuple[Any, ...]]]) -> TableKeys:
    """Files, each computed later than the one before: the run, whether they hold features, and their rows.

    A row is its path, its etag and, where that is another one, the version of the decoder.
    """
    # Names descend, so that it is not by their names that later files win.
    names = [f"{chr(ord('z') - number)}.parquet" for number in range(len(tables))]
    contents = {
        name: pa.Table.from_pylist(
            [
                {
                    "path": key[0],
                    "read_etag": key[1],
                    "decoder": (*key, DECODER_VERSION)[2],
                    "run": run_slug(run),
                    "computed_at": NOON + timedelta(seconds=number),
                }
                for key in rows
            ],
            schema=KEYS,
        )
        for number, (name, (run, _, rows)) in enumerate(zip(names, tables, strict=True))
    }
    files = [
        TableFile(name, FEATURIZED if is_features else REJECTED, len(rows), 1)
        for name, (_, is_features, rows) in zip(names, tables, strict=True)
    ]
    return read_keys(files, lambda name, columns: contents[name].select(list(columns)))


def answers(listed: pa.Table, table: TableKeys, run: str) -> list[tuple[int, int] | None]:
    """For each image the place in `stored`'s arguments of the file that answers it, and its row there."""
    count = len(table.files)
    return [
        None if row == UNANSWERED else (count - 1 - int(table.file[row]), int(table.row[row]))
        for row in answering_rows(listed, table, run_slug(run))
    ]


def test_an_image_is_answered_by_its_path_and_etag_from_any_run() -> None:
    table = stored(("old", True, [("b", "1"), ("a", "1")]))
    assert answers(manifest(("a", "1"), ("b", "2"), ("c", "1")), table, "new") == [(0, 1), None, None]


def test_an_image_replaced_after_listing_is_answered_by_this_runs_row() -> None:
    table = stored(("this", True, [("a", "now")]))
    assert answers(manifest(("a", "listed")), table, "this") == [(0, 0)]
    assert answers(manifest(("a", "listed")), table, "other") == [None]


def test_features_win_over_a_reject_then_the_same_etag_then_the_later_row() -> None:
    image = [("a", "1")]
    listed = manifest(*image)
    assert answers(listed, stored(("r", True, image), ("s", False, image)), "t") == [(0, 0)]
    assert answers(listed, stored(("r", False, image), ("s", False, image)), "t") == [(1, 0)]
    assert answers(listed, stored(("r", True, image), ("s", True, image)), "t") == [(1, 0)]
    assert answers(listed, stored(("r", True, image), ("t", True, [("a", "other")])), "t") == [(0, 0)]


OLDER = DECODER_VERSION - 1
NEWER = DECODER_VERSION + 1


@pytest.mark.parametrize("decoder", [OLDER, NEWER], ids=["an older", "a newer"])
@pytest.mark.parametrize("is_features", [True, False], ids=["features", "reject"])
def test_what_another_decoder_made_answers_nothing_not_even_in_the_same_run(decoder: int, is_features: bool) -> None:
    table = stored(("this", is_features, [("a", "1", decoder)]))
    for run in ("this", "other"):
        assert answers(manifest(("a", "1")), table, run) == [None]
        assert rows_to_do(manifest(("a", "1")), table, run_slug(run), retry_rejects=False).num_rows == 1


def test_a_reject_of_this_decoder_wins_over_the_features_of_an_older_one() -> None:
    table = stored(("new", False, [("a", "1")]), ("old", True, [("a", "1", OLDER)]))
    assert answers(manifest(("a", "1")), table, "t") == [(0, 0)]


def test_what_is_computed_again_because_of_the_decoder_is_counted_apart() -> None:
    images = manifest(("again", "1"), ("changed", "2"), ("new", "1"), ("twice", "1"))
    old = [("again", "1", OLDER), ("changed", "1", OLDER), ("twice", "1", OLDER), ("gone", "1", OLDER)]
    table = stored(("old", True, old), ("rejects", False, [("twice", "1", NEWER)]))
    assert decoded_otherwise(images, table) == 2
    assert decoded_otherwise(images, stored()) == 0


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
    table = stored(*(("old", kind, [row]) for row, kind in zip(rows, features, strict=False)))
    listed = [("a", "1"), ("b", "2"), ("c", "1")]
    todo = rows_to_do(manifest(*listed), table, run_slug("this"), retry_rejects=False)
    assert todo["path"].to_pylist() == [path for path, etag in listed if (path, etag, DECODER_VERSION) not in rows]
    again = {(path, etag) for path, etag, decoder in rows if decoder != DECODER_VERSION}
    assert decoded_otherwise(todo, table) == sum(
        pair in again for pair in listed if pair[0] in todo["path"].to_pylist()
    )


def test_rows_of_other_images_and_an_empty_table_answer_nothing() -> None:
    assert answers(manifest(("a", "1")), stored(), "t") == [None]
    assert answers(manifest(("a", "1")), stored(("r", True, [("z", "1")])), "t") == [None]


def test_a_retry_of_rejects_takes_those_of_earlier_runs_only() -> None:
    images = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]
    table = stored(("old", True, images[:1]), ("old", False, images[1:2]), ("this", False, images[2:3]))
    for retry, expected in ((False, ["d"]), (True, ["b", "d"])):
        todo = rows_to_do(manifest(*images), table, run_slug("this"), retry_rejects=retry)
        assert todo["path"].to_pylist() == expected


def test_a_row_is_found_by_its_file_and_number_and_known_files_are_not_read_again() -> None:
    table = stored(("r", True, [("a", "1"), ("b", "1")]), ("r", False, []), ("s", True, [("c", "1")]))
    for place, path in enumerate(table.keys["path"].to_pylist()):
        assert answers(manifest((path, "1")), table, "t") == [(2 - int(table.file[place]), int(table.row[place]))]

    def fail(name: str, _: Sequence[str]) -> pa.Table:
        raise AssertionError(name)

    again = read_keys(table.files, fail, table)
    assert again.keys.equals(table.keys)
    assert (again.file.tolist(), again.row.tolist()) == (table.file.tolist(), table.row.tolist())


@given(st.permutations(range(4)))
def test_which_row_answers_does_not_depend_on_the_order_in_which_files_are_listed(order: list[int]) -> None:
    table = stored(*((f"run {number}", True, [("a", "1"), ("b", "1")]) for number in range(4)))
    contents = {file.name: table.keys.slice(2 * number, 2) for number, file in enumerate(table.files)}
    shuffled = read_keys([table.files[number] for number in order], lambda name, _: contents[name])
    assert answers(manifest(("a", "1"), ("b", "1")), shuffled, "t") == [(3, 0), (3, 1)]


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

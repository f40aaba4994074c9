"""Which rows of the feature table count, which of them answers an image, and how work is cut."""

import itertools
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger_rules import manifest_file
from verger_rules.answering import ReadColumns
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile
from verger_rules.layout import run_slug
from verger_rules.manifest_file import ManifestFile
from verger_rules.schemas import FEATURIZED, KEYS, MANIFEST, REJECTED

from spark_jobs.job_errors import RefusedError
from spark_jobs.steps.chunking import image_costs, partition_bounds
from spark_jobs.steps.manifest import check_manifest
from spark_jobs.steps.todo_list import write_todo
from tests.answering_images import answering_images, images_to_do
from tests.stored_tables import NOON


def manifest(*images: tuple[str, str]) -> pa.Table:
    rows = [{"path": path, "etag": etag, "label": "x", "size": 1} for path, etag in images]
    return pa.Table.from_pylist(rows, schema=MANIFEST)


class Table(NamedTuple):
    """Files of a table, and what reads them."""

    files: list[TableFile]
    read: ReadColumns


def stored(*tables: tuple[str, bool, Sequence[tuple[Any, ...]]]) -> Table:
    """Files, each computed later than the one before: the run, whether they hold features, and their rows.

    A row is its path, its etag and, where that is another one, the version of the decoder. A reject's reason tells
    where it lies.
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
                    "stage": "decode",
                    "reason": f"{number} {row}",
                    "detail": "",
                }
                for row, key in enumerate(rows)
            ],
            schema=pa.schema([*KEYS, *((name, pa.string()) for name in ("stage", "reason", "detail"))]),
        )
        for number, (name, (run, _, rows)) in enumerate(zip(names, tables, strict=True))
    }
    files = [
        TableFile(name, FEATURIZED if is_features else REJECTED, len(rows), 1)
        for name, (_, is_features, rows) in zip(names, tables, strict=True)
    ]
    return Table(files, lambda name, columns: contents[name].select(list(columns)))


def todo_of(listed: pa.Table, table: Table, run: str, *, retry_rejects: bool = False) -> list[str]:
    with answering_images(listed, *table, run_slug(run)) as answering:
        paths: list[str] = images_to_do(answering, retry_rejects=retry_rejects)["path"].to_pylist()
        return paths


def decoded_otherwise(listed: pa.Table, table: Table, run: str = "this") -> int:
    with answering_images(listed, *table, run_slug(run)) as answering:
        return answering.decoded_otherwise(retry_rejects=False)


def answers(listed: pa.Table, table: Table, run: str) -> list[tuple[int, int] | None]:
    """For each image the place in `stored`'s arguments of the file that answers it, and its row there."""
    todo = set(todo_of(listed, table, run))
    found: dict[str, tuple[int, int]] = {}
    answered = listed.filter(pa.array([path not in todo for path in listed["path"].to_pylist()]))
    if answered.num_rows:
        with answering_images(answered, *table, run_slug(run)) as answering:
            for row in pa.concat_tables(answering.answers()).to_pylist():
                if row["file"]:
                    found[row["path"]] = (ord("z") - ord(row["file"][0]), row["row"])
                else:
                    number, at = row["reason"].split()
                    found[row["path"]] = (int(number), int(at))
    return [found.get(path) for path in listed["path"].to_pylist()]


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
        assert todo_of(manifest(("a", "1")), table, run) == ["a"]


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
    todo = todo_of(manifest(*listed), table, "this")
    assert todo == [path for path, etag in listed if (path, etag, DECODER_VERSION) not in rows]
    again = {(path, etag) for path, etag, decoder in rows if decoder != DECODER_VERSION}
    assert decoded_otherwise(manifest(*listed), table) == sum(pair in again for pair in listed if pair[0] in todo)


def test_rows_of_other_images_and_an_empty_table_answer_nothing() -> None:
    assert answers(manifest(("a", "1")), stored(), "t") == [None]
    assert answers(manifest(("a", "1")), stored(("r", True, [("z", "1")])), "t") == [None]


def test_a_retry_of_rejects_takes_those_of_earlier_runs_only() -> None:
    images = [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")]
    table = stored(("old", True, images[:1]), ("old", False, images[1:2]), ("this", False, images[2:3]))
    for retry, expected in ((False, ["d"]), (True, ["b", "d"])):
        assert todo_of(manifest(*images), table, "this", retry_rejects=retry) == expected


@given(st.permutations(range(4)))
def test_which_row_answers_does_not_depend_on_the_order_in_which_files_are_listed(order: list[int]) -> None:
    table = stored(*((f"run {number}", True, [("a", "1"), ("b", "1")]) for number in range(4)))
    shuffled = table._replace(files=[table.files[number] for number in order])
    assert answers(manifest(("a", "1"), ("b", "1")), shuffled, "t") == [(3, 0), (3, 1)]


@given(st.permutations(range(3)), st.integers(0, 2))
def test_of_rows_that_are_equal_that_of_the_later_name_answers_whichever_file_came_first(
    order: list[int], added: int
) -> None:
    """Files are known by numbers, in the order in which they were met: no number decides."""
    row = {"path": "a", "read_etag": "1", "decoder": DECODER_VERSION, "run": "r", "computed_at": NOON}
    content = pa.Table.from_pylist([row], schema=KEYS)
    files = [TableFile(f"{name}.parquet", FEATURIZED, 1, 1) for name in "xyz"]
    first = [files[number] for number in order if number != added]
    read = lambda _, columns: content.select(list(columns))  # noqa: E731
    with answering_images(manifest(("a", "1")), first, read, "t") as answering:
        answering.read_keys(files, read)
        answering.decide()
        assert pa.concat_tables(answering.answers())["file"].to_pylist() == ["z.parquet"]


@given(st.integers(1, 50), st.integers(1, 60), st.integers(1, 7))
def test_chunks_hold_every_image_once_and_in_order(images: int, size: int, part: int) -> None:
    table = manifest(*((f"{number:03d}", "1") for number in range(images)))
    with tempfile.TemporaryDirectory() as folder:
        parts = (table.slice(start, part) for start in range(0, images, part))
        todo = write_todo(Path(folder) / "todo.parquet", parts, size)
        chunks = [todo.chunk(number) for number in range(todo.chunks)]
    assert todo.images == images
    assert pa.concat_tables(chunks).equals(table)
    assert [chunk.num_rows for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)


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


def as_file(folder: Path, *tables: pa.Table) -> ManifestFile:
    path = folder / "manifest.parquet"
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return ManifestFile(path, sum(table.num_rows for table in tables))


@pytest.mark.parametrize("part_rows", [1, 2, 20_000])
@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "lists no image"),
        ([("b", "1"), ("a", "1")], "not unique and ascending by path, first at 'a'"),
        ([("a", "1"), ("a", "2")], "not unique and ascending by path, first at 'a'"),
        ([("a", "1"), ("c", "1"), ("b", "2"), ("d", "1")], "not unique and ascending by path, first at 'b'"),
    ],
)
def test_a_manifest_must_be_unique_and_ascending_within_its_parts_and_from_each_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: list[tuple[str, str]], message: str, part_rows: int
) -> None:
    monkeypatch.setattr(manifest_file, "PART_ROWS", part_rows)
    with pytest.raises(RefusedError, match=message):
        check_manifest(as_file(tmp_path, manifest(*images)), "s3://b/m")


def test_a_manifest_with_an_empty_cell_is_refused(tmp_path: Path) -> None:
    loose = pa.schema([field.with_nullable(True) for field in MANIFEST])
    table = pa.Table.from_pylist([{"path": "a", "etag": None, "label": "x", "size": 1}], schema=loose)
    with pytest.raises(RefusedError, match="empty cell"):
        check_manifest(as_file(tmp_path, table), "s3://b/m")

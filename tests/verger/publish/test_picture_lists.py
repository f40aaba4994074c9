"""Which pictures are new, changed or gone, and which of very many are shown: each label, the same each time."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from mypy_boto3_s3 import S3Client
from verger.publish.picture_lists import (
    CHANGED,
    MOST_EXAMPLES,
    NEW,
    SAME,
    choose_shown,
    compare_with_before,
    note_pictures,
)
from verger.publish.plots import draw_map
from verger.publish.run_rows import fetch_rows
from verger.storage.aws_clients import arrow_filesystem
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.schemas import ANSWERS, MANIFEST

from tests.answering_images import small_database
from tests.verger.publish.local_rows import compared

images_by_path = st.dictionaries(st.text(max_size=3), st.sampled_from(["1", "2", "3"]), max_size=12)


@settings(max_examples=40)
@given(before=images_by_path, now=images_by_path)
def test_every_image_is_new_changed_gone_or_the_same(before: dict[str, str], now: dict[str, str]) -> None:
    with small_database() as lists:
        rows = compared(lists.folder, now, before)
        got = compare_with_before(lists, rows)
        shown = choose_shown(lists, note_pictures(lists, rows))
    assert got
    added, gone = sorted(now.keys() - before.keys()), sorted(before.keys() - now.keys())
    changed = sorted(path for path in before.keys() & now.keys() if before[path] != now[path])
    assert (got["before"], got["now"]) == (len(before), len(now))
    assert (got["added"], got["changed"], got["gone"]) == (len(added), len(changed), len(gone))
    assert got["examples"] == {"added": added, "changed": changed, "gone": gone}
    kinds = {**dict.fromkeys(added, NEW), **dict.fromkeys(changed, CHANGED)}
    assert shown["change"].to_pylist() == [kinds.get(path, SAME) for path in sorted(now)]


def test_without_a_run_before_there_is_nothing_to_compare_with_and_nothing_is_new() -> None:
    with small_database() as lists:
        rows = compared(lists.folder, {"a": "1", "b": "1"}, None)
        assert compare_with_before(lists, rows) is None
        assert choose_shown(lists, note_pictures(lists, rows))["change"].to_pylist() == [SAME, SAME]


def test_only_the_first_of_many_are_named() -> None:
    names = [f"s3://fruits/images/Apple/{number:03}.jpg" for number in range(100)]
    with small_database() as lists:
        got = compare_with_before(lists, compared(lists.folder, dict.fromkeys(names, "1"), {}))
    assert got
    assert got["added"] == 100
    assert got["examples"]["added"] == names[:MOST_EXAMPLES]


@pytest.mark.parametrize("missing", [False, True])
def test_manifests_are_compared_as_they_lie_in_the_bucket(
    s3: S3Client, bucket: str, tmp_path: Path, missing: bool
) -> None:
    before, run = (RunLayout(BucketLayout(bucket), f"manual__{number}") for number in (1, 2))
    paths = [f"s3://{bucket}/images/A pple/ü%{n}.jpg" for n in range(3)]
    listed = [(path, str(number), "A pple", 1) for number, path in enumerate(paths)]
    for each, rows in ((before, listed[:2]), (run, listed[1:])):
        put(s3, each, "manifest.parquet", pa.table([list(column) for column in zip(*rows, strict=True)], MANIFEST))
    put(s3, run, "answers/part-00000.parquet", ANSWERS.empty_table())
    s3.copy_object(
        Bucket=bucket,
        Key=run.result_file("matrix.parquet").key,
        CopySource={"Bucket": bucket, "Key": run.run_file("manifest.parquet").key},
    )
    if missing:
        s3.delete_object(Bucket=bucket, Key=before.run_file("manifest.parquet").key)
    with small_database() as lists:
        got = compare_with_before(lists, fetch_rows(arrow_filesystem(None, "eu-west-1"), run, before, tmp_path))
    if missing:
        assert got is None
    else:
        assert got
        assert got["examples"] == {"added": [paths[2]], "changed": [], "gone": [paths[0]]}


def put(s3: S3Client, run: RunLayout, name: str, table: pa.Table) -> None:
    stored = io.BytesIO()
    pq.write_table(table, stored)
    s3.put_object(Bucket=run.layout.bucket, Key=run.run_file(name).key, Body=stored.getvalue())


def sample(labels: list[str], most: int, new: frozenset[int] = frozenset()) -> npt.NDArray[np.int64]:
    """The numbers of the pictures that are shown, of some labels; some of the pictures are new."""
    paths = [f"{number:06}" for number in range(len(labels))]
    with small_database() as lists:
        rows = compared(lists.folder, {}, None)
        compare_with_before(lists, rows)
        lists.add(
            "pictures", pa.table([range(len(labels)), paths, pa.array(labels, pa.string())], ["n", "path", "label"])
        )
        lists.add(
            "changes",
            pa.table([pa.array([paths[at] for at in sorted(new)], pa.string()), [NEW] * len(new)], ["p", "c"]),
        )
        numbers: npt.NDArray[np.int64] = choose_shown(lists, len(labels), most)["number"].to_numpy()
    return numbers


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["Apple", "Kiwi", "", "Pêche"]), max_size=60),
    st.integers(1, 40),
    st.frozensets(st.integers(0, 59)),
)
def test_every_label_is_there_in_proportion_and_the_sample_is_the_same_each_time(
    labels: list[str], most: int, new: frozenset[int]
) -> None:
    new = frozenset(number for number in new if number < len(labels))
    rows = sample(labels, most, new)
    chosen = [labels[row] for row in rows]
    assert list(rows) == sorted(set(rows.tolist()))
    assert list(rows) == list(sample(labels, most, new))
    if len(labels) <= most:
        assert chosen == labels
        return
    share = {label: max(1, count * most // len(labels)) for label, count in Counter(labels).items()}
    assert len(chosen) == min(most, sum(share.values()))
    if sum(share.values()) > most:
        return
    assert Counter(chosen) == share
    of_new = Counter(labels[number] for number in new)
    shown_new = Counter(labels[row] for row in rows if row in new)
    for label, count in of_new.items():
        assert shown_new[label] >= min(count, share[label] // 2)


def test_more_labels_than_there_is_room_for_do_not_make_the_sample_larger() -> None:
    rows = sample([str(number) for number in range(500)] + ["many"] * 500, 100)
    assert len(rows) == 100


def test_a_sample_is_taken_at_random_and_what_is_new_does_not_take_all_room() -> None:
    rows = sample(["Apple"] * 10_000, 1000)
    assert 4000 < np.mean(rows) < 6000
    among = sample(["Apple"] * 10_000, 1000, frozenset(range(2000)))
    assert 500 <= sum(among < 2000) < 700
    assert len(among) == 1000


def test_a_map_of_very_many_labels_takes_few_strokes_and_no_legend(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = [f"label {number}" for number in range(5000)]
    columns = {"label": labels, "pc_1": np.sin(np.arange(5000)), "pc_2": np.cos(np.arange(5000))}
    drawn: list[int] = []
    scatter = Axes.scatter

    def counting(axes: Axes, x: npt.NDArray[np.float64], *more: Any, **look: Any) -> Any:
        drawn.append(len(x))
        return scatter(axes, x, *more, **look)

    monkeypatch.setattr(Axes, "scatter", counting)
    assert "label 7<" not in draw_map(pa.table(columns), 5000, "svg").decode()
    assert len(drawn) <= 5
    assert sum(drawn) == 5000


def test_a_map_of_very_many_images_shows_a_sample_and_says_so() -> None:
    shown = pa.table({"label": ["Rare", "Common"], "pc_1": [0.0, 1.0], "pc_2": [1.0, 0.0]})
    drawn = draw_map(shown, 101_000, "svg").decode()
    assert "a sample of 2 of 101,000 images" in drawn
    assert "Rare" in drawn
    assert "a sample of" not in draw_map(shown, 2, "svg").decode()

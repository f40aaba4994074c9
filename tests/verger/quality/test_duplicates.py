"""Groups of duplicates: what is the same, where it lies, and the worst first."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from verger.quality.duplicates import LABEL, LABELS, NEAR, SAME_BYTES, SPLIT, Duplicates, find_duplicates
from verger.quality.judged_images import JudgedImages
from verger_rules.schemas import MANIFEST

from tests.answering_images import small_database
from tests.verger.quality.judged_run import judged_images


def found_among(judged: JudgedImages, etags: str, folder: Path, test_folder: str = "", size: int = 9) -> Duplicates:
    images = judged.images
    rows = {"path": images["path"], "etag": list(etags), "label": images["label"], "size": [size] * len(etags)}
    pq.write_table(pa.table(rows).select(MANIFEST.names).cast(MANIFEST), folder / "manifest.parquet")
    with small_database() as lists:
        return find_duplicates(lists, folder / "manifest.parquet", judged, len(judged), test_folder)


def test_the_same_bytes_are_grouped_within_and_across_labels(tmp_path: Path) -> None:
    found = found_among(judged_images(["apple", "apple", "apple", "pear", "pear"]), "aabcb", tmp_path)
    assert [(group.kind, group.where) for group in found.groups] == [(SAME_BYTES, LABELS), (SAME_BYTES, LABEL)]
    assert [image[0][-8:] for image in found.groups[0].images] == ["0002.jpg", "0004.jpg"]
    assert found.counts["same_bytes"] == {"groups": 2, "images": 4}
    assert (found.counts["across_labels"], found.counts["within_a_label"]) == (1, 1)


def test_empty_files_are_no_duplicates(tmp_path: Path) -> None:
    assert found_among(judged_images(["apple", "pear"]), "aa", tmp_path, size=0).groups == ()


def test_near_duplicates_are_a_group_unless_all_of_it_is_the_same_bytes(tmp_path: Path) -> None:
    judged = judged_images(["apple"] * 5, near=[(0, 1), (2, 3, 4)])
    found = found_among(judged, "aabbc", tmp_path)
    kinds = [(group.kind, len(group.images)) for group in found.groups]
    assert sorted(kinds) == [(NEAR, 3), (SAME_BYTES, 2), (SAME_BYTES, 2)]


def test_a_group_in_both_parts_of_a_split_comes_first(tmp_path: Path) -> None:
    folders = ["Training/", "Training/", "Test/", "Test/"]
    parts = ["Training", "Training", "Test", "Test"]
    judged = judged_images(["apple", "pear", "apple", "pear"], parts=parts, folders=folders, near=[(0, 1)])
    found = found_among(judged, "abca", tmp_path)
    assert [group.where for group in found.groups] == [SPLIT, LABELS]
    assert [row["part"] for row in found.rows().to_pylist()] == ["Test", "Training", "Training", "Training"]


def test_rows_number_the_groups_and_tell_all_of_each_image(tmp_path: Path) -> None:
    rows = found_among(judged_images(["apple", "pear"], near=[(0, 1)]), "ab", tmp_path).rows().to_pylist()
    assert [row["group"] for row in rows] == [1, 1]
    assert {row["similarity"] for row in rows} == {0.97}
    assert {row["where"] for row in rows} == {LABELS}

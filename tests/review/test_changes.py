"""What the rows of a review mean, decided for the whole file before anything is touched."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.storage.file_names import harmful_character, one_form, system_part
from verger.storage.layout import BucketLayout, label_of
from verger_rules.addresses import is_readable_key

from tools.review.changes import Change, RowError, plan_changes, target_of
from tools.review.marks import Mark, ReviewError

LAYOUT = BucketLayout("b", "fruit/2026/")
IMAGES = "s3://b/fruit/2026/"
FOLDER = st.text("aé +%#=-", min_size=1, max_size=8).filter(lambda name: name == name.strip())
FOLDERS = st.lists(FOLDER, max_size=3)
ANY_LABEL = st.text(st.characters(), max_size=12) | st.sampled_from(
    [".", "..", "", "/", "a/b", "../c", ".trash", "__MACOSX", "a\\b", "C:", "x" * 1024, " a", "a\n", "\u202e", "\ud800"]
)


@given(FOLDERS, FOLDER, FOLDER)
def test_a_new_label_is_the_last_folder_and_all_else_stays(folders: list[str], file: str, label: str) -> None:
    key = "".join(f"{folder}/" for folder in ["fruit", "2026", *folders]) + f"{file}.jpg"
    target = target_of(key, label, LAYOUT.images_prefix)
    assert label_of(target, LAYOUT.images_prefix) == one_form(label)
    assert target.split("/")[2:-2] == folders[:-1]
    assert target.rpartition("/")[2] == f"{file}.jpg"
    assert target.count("/") == key.count("/") + (not folders)


@given(FOLDERS, ANY_LABEL, st.booleans())
def test_whatever_the_label_is_the_picture_stays_where_runs_find_it(
    folders: list[str],
    label: str,
    old: bool,
) -> None:
    key = "".join(f"{folder}/" for folder in ["fruit", "2026", *folders]) + "1.jpg"
    with contextlib.suppress(RowError):
        target = target_of(key, label, LAYOUT.images_prefix, old_label_in_name=old)
        name = target.removeprefix(LAYOUT.images_prefix)
        assert target == LAYOUT.images_prefix + name
        assert is_readable_key(target)
        assert (system_part(name), harmful_character(name)) == (None, None)
        assert len(target.encode()) <= 1024


@pytest.mark.parametrize(
    "label", [".", "..", "/", "a/b", ".trash", "__MACOSX", "a\\b", "C:", "x" * 1010, " a", "a\x07", "\u202eb", "\ud800"]
)
def test_a_label_that_cannot_be_a_folder_is_refused_with_its_line(label: str) -> None:
    with pytest.raises(ReviewError, match=r"^line 7: the new label is ") as raised:
        plan_changes([Mark(7, f"{IMAGES}Apple/1.jpg", "wrong label", label)], LAYOUT)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("s3://other/fruit/2026/Apple/1.jpg", "not a picture below s3://b/fruit/2026/"),
        ("s3://b/results/latest.json", "not a picture below"),
        ("s3://b/fruit/2026/Apple/", "not a picture below"),
        ("s3://b/fruit/2026/", "not a picture below"),
        ("s3://b/fruit/2026/../../results/latest.json", "empty part"),
        ("s3://b/fruit/2026//1.jpg", "empty part"),
        ("/home/me/1.jpg", "not an S3 address"),
        ("", "not an S3 address"),
    ],
)
@pytest.mark.parametrize("mark", ["remove", "look again", "wrong label"])
def test_only_pictures_of_this_bucket_below_the_prefix_are_taken(path: str, complaint: str, mark: str) -> None:
    with pytest.raises(ReviewError, match=r"^line 2: ") as raised:
        plan_changes([Mark(2, path, mark, "Kiwi")], LAYOUT)
    assert complaint in str(raised.value)


def test_marks_that_change_nothing_say_why() -> None:
    marks = [
        Mark(2, f"{IMAGES}Apple/1.jpg", "look again", "Kiwi"),
        Mark(3, f"{IMAGES}Apple/2.jpg", "wrong label"),
        Mark(4, f"{IMAGES}Pe\u0302che/3.jpg", "wrong label", "P\u00eache"),
    ]
    assert [change.why_nothing for change in plan_changes(marks, LAYOUT)] == [
        "look again",
        "no new label is given",
        "it has that label",
    ]


def test_the_same_row_twice_is_one_change_and_another_one_is_refused() -> None:
    first = Mark(2, f"{IMAGES}Training/Apple/1.jpg", "wrong label", "Kiwi")
    once = [Change(2, "fruit/2026/Training/Apple/1.jpg", target="fruit/2026/Training/Kiwi/1.jpg")]
    assert plan_changes([first, Mark(3, first.path, first.mark, first.new_label)], LAYOUT) == once
    for other in (
        Mark(3, first.path, "remove"),
        Mark(3, first.path, first.mark, "Plum"),
        Mark(3, first.path, "look again"),
    ):
        with pytest.raises(ReviewError, match="lines 2 and 3 want different things"):
            plan_changes([first, other], LAYOUT)


def test_two_pictures_are_not_moved_to_one_place() -> None:
    marks = [Mark(line, f"{IMAGES}{label}/1.jpg", "wrong label", "Kiwi") for line, label in ((2, "Apple"), (3, "Plum"))]
    with pytest.raises(ReviewError, match=r"^lines 2, 3 move pictures to one place, 'fruit/2026/Kiwi/1.jpg'"):
        plan_changes(marks, LAYOUT)
    assert [change.target for change in plan_changes(marks, LAYOUT, old_label_in_name=True)] == [
        "fruit/2026/Kiwi/Apple 1.jpg",
        "fruit/2026/Kiwi/Plum 1.jpg",
    ]


@pytest.mark.parametrize("other", [("remove", ""), ("wrong label", "Plum"), ("wrong label", "Apple")])
def test_no_picture_takes_the_place_of_one_that_goes(other: tuple[str, str]) -> None:
    """When it is run again, the program could not tell them apart."""
    marks = [Mark(2, f"{IMAGES}Apple/1.jpg", "wrong label", "Kiwi"), Mark(3, f"{IMAGES}Kiwi/1.jpg", *other)]
    with pytest.raises(ReviewError, match=r"line 2 moves a picture to .* line 3 takes away"):
        plan_changes(marks, LAYOUT)


def test_a_label_that_is_not_the_folder_s_shows_a_changed_file() -> None:
    """A spreadsheet made 7 of 007, or sorted one column alone."""
    marks = [Mark(2, f"{IMAGES}007/1.jpg", "remove", label="7"), Mark(3, f"{IMAGES}007/2.jpg", "remove", label="007")]
    with pytest.raises(
        ReviewError, match=r"^line 2: the label is '7', and the picture lies in a folder '007'"
    ) as raised:
        plan_changes(marks, LAYOUT)
    assert len(raised.value.reasons) == 1

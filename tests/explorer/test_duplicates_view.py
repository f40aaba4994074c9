"""Duplicates side by side: the worst first, filtered, marked, and found on the map."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.explorer import explorer_world as world
from tests.explorer.conftest import HOSTILE, Visit, serving
from tests.explorer.quality_world import group_rows, quality_of, write_quality

Open = Callable[..., Visit]
MANY = 3_000


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with five groups, one of a picture that the page does not show."""
    pictures = world.groups({"apple": 40, "banana": 30, HOSTILE: 20})
    page = world.write_site(tmp_path_factory.mktemp("duplicates"), pictures)
    same, near = "same bytes", "near"
    rows = [
        *group_rows(1, near, "within a label", ["apple/apple_00001.jpg", "apple/apple_00002.jpg"]),
        *group_rows(2, same, "across labels", ["apple/apple_00003.jpg", "banana/banana_00003.jpg"]),
        *group_rows(
            3, near, "across the split", ["apple/apple_00004.jpg", "apple/apple_00005.jpg"], ["Training", "Test"]
        ),
        *group_rows(4, same, "across labels", [f"{HOSTILE}/{HOSTILE}_00001.jpg", "gone/elsewhere.jpg"]),
        *group_rows(5, same, "within a label", [f"banana/banana_{at:05}.jpg" for at in range(20)]),
    ]
    write_quality(page, quality_of(["apple", "banana"], pictures.names), rows)
    return page


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    with serving(site.parents[1]) as address:
        yield address


def test_groups_stand_the_worst_first(visit: Open, served: str) -> None:
    page = visit(served).open().page
    page.get_by_role("tab", name="Duplicates").click()
    expect(page.locator(".duplicates .sentence")).to_have_text(
        "3 groups with the same bytes (24 pictures), 2 groups of near-duplicates (4 pictures)."
    )
    titles = page.locator(".duplicates .group h2")
    expect(titles).to_have_text([
        "Group 3 near, across the split, 2 pictures",
        "Group 2 same bytes, across labels, 2 pictures",
        "Group 4 same bytes, across labels, 2 pictures",
        "Group 1 near, within a label, 2 pictures",
        "Group 5 same bytes, within a label, 20 pictures",
    ])  # fmt: skip


def test_each_picture_tells_label_part_path_and_similarity(visit: Open, served: str) -> None:
    page = visit(served).open("#view=duplicates").page
    twin = page.locator(".group").first.locator(".twin").last
    for words in ("apple", "Test", "apple/apple_00005.jpg", "similarity 0.991"):
        expect(twin).to_contain_text(words)
    expect(twin.locator(".thumb")).to_have_css("background-image", "url({})".format(
        f'"{served.removesuffix("index.html")}data/sheet-0000.jpg"'
    ))  # fmt: skip


def test_groups_are_filtered_by_kind_and_place(visit: Open, served: str) -> None:
    page = visit(served).open("#view=duplicates").page
    groups = page.locator(".duplicates .group")
    page.get_by_role("button", name="same bytes 3").click()
    expect(groups).to_have_count(3)
    page.get_by_role("button", name="within a label 2").click()
    expect(groups).to_have_count(1)
    expect(page.get_by_role("button", name="within a label 2")).to_be_focused()
    page.get_by_role("button", name="all kinds 5").click()
    expect(groups).to_have_count(2)


def test_a_picture_leads_to_its_place_on_the_map(visit: Open, served: str) -> None:
    page = visit(served).open("#view=duplicates").page
    page.get_by_role("button", name="Show banana/banana_00003.jpg on the map").first.click()
    expect(page.locator(".picture .file")).to_have_text("banana_00003.jpg")
    expect(page.get_by_role("tab", name="Map")).to_have_attribute("aria-selected", "true")


def test_a_twin_is_marked_here_and_the_mark_is_seen_everywhere(visit: Open, served: str) -> None:
    page = visit(served).open("#view=duplicates").page
    marks = page.get_by_role("group", name="Mark banana/banana_00003.jpg").first
    marks.get_by_role("button", name="Remove").click()
    expect(marks.get_by_role("button", name="Remove")).to_have_attribute("aria-pressed", "true")
    expect(marks.get_by_role("button", name="Remove")).to_be_focused()
    page.get_by_role("tab", name="Map").click()
    expect(page.get_by_role("button", name="Marked 1")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("tab", name="Duplicates").click()
    expect(marks.get_by_role("button", name="Remove")).to_have_attribute("aria-pressed", "false")


def test_a_picture_that_is_not_shown_has_its_name_and_hostile_ones_stay_text(visit: Open, served: str) -> None:
    page = visit(served).open("#view=duplicates").page
    group = page.locator(".group").nth(2)
    expect(group).to_contain_text("gone/elsewhere.jpg")
    expect(group.locator(".thumb.missing")).to_have_text("not on the map")
    expect(group.locator(".chip").first).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0


def test_a_large_group_shows_its_first_pictures(visit: Open, served: str) -> None:
    page = visit(served).open("#view=duplicates").page
    group = page.locator(".group").last
    expect(group.locator(".twin")).to_have_count(12)
    group.get_by_role("button", name="Show 8 more").click()
    expect(group.locator(".twin")).to_have_count(20)


def test_a_page_on_a_disk_has_the_groups_too(visit: Open, site: Path) -> None:
    page = visit(site.as_uri()).open("#view=duplicates").page
    expect(page.locator(".duplicates .group")).to_have_count(5)


def test_groups_that_cannot_be_read_are_told(visit: Open, tmp_path: Path) -> None:
    pictures = world.groups({"apple": 20, "banana": 20})
    page_file = world.write_site(tmp_path, pictures)
    rows = group_rows(1, "near", "within a label", pictures.names[:2])
    write_quality(page_file, quality_of(["apple", "banana"], pictures.names), rows)
    (page_file.parent / "data" / "duplicates.parquet").write_bytes(b"broken")
    with serving(page_file.parents[1]) as address:
        page = visit(address).open("#view=duplicates").page
        expect(page.locator(".duplicates")).to_contain_text("The groups could not be read")


def test_no_duplicates_are_said_in_one_sentence(visit: Open, small: str) -> None:
    page = visit(small).open("#view=duplicates").page
    expect(page.locator(".duplicates")).to_contain_text("There are none.")


def test_thousands_of_groups_are_drawn_fifty_at_a_time(visit: Open, tmp_path: Path) -> None:
    pictures = world.groups({"apple": 2 * MANY, "banana": 10})
    page_file = world.write_site(tmp_path, pictures)
    apples = [name for name in pictures.names if name.startswith("apple/")]
    rows = [
        row
        for at in range(MANY)
        for row in group_rows(at + 1, "same bytes", "within a label", apples[2 * at : 2 * at + 2])
    ]
    write_quality(page_file, quality_of(["apple", "banana"], pictures.names), rows)
    with serving(page_file.parents[1]) as address:
        page = visit(address).open("#view=duplicates").page
        groups = page.locator(".duplicates .group")
        expect(groups).to_have_count(50)
        page.get_by_role("button", name="Show more").click()
        expect(groups).to_have_count(100)
        expect(page.locator(".duplicates")).to_contain_text("3,000 groups, the worst first.")

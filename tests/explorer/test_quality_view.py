"""What the page says about a run's quality: the sentence, the curve, the classifier and what it confuses."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.explorer import explorer_world as world
from tests.explorer.conftest import Visit, serving
from tests.explorer.quality_world import quality_of, write_quality

Open = Callable[..., Visit]
FRUITS = {"apple": 30, "banana": 30, "cherry": 30}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose pictures are split into Training and Test."""
    pictures = world.groups(FRUITS)
    page = world.write_site(tmp_path_factory.mktemp("quality"), pictures)
    write_quality(page, quality_of(list(FRUITS), pictures.names, split=True))
    return page


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    with serving(site.parents[1]) as address:
        yield address


def test_the_sentence_and_what_was_judged_stand_on_top(visit: Open, served: str) -> None:
    page = visit(served).open().page
    page.get_by_role("tab", name="Quality").click()
    view = page.locator(".quality")
    expect(view.locator(".sentence")).to_have_text(
        "10 components keep 97 of 100 right neighbours; all 1,280 features keep 98."
    )
    expect(view).to_contain_text("90 pictures, 3 labels. 89 pictures could be judged")


def test_the_curve_has_every_k_the_features_and_the_chosen_k(visit: Open, served: str) -> None:
    page = visit(served).open("#view=quality").page
    plot = page.locator(".plot svg")
    for line, points in {"accuracy": 8, "variance": 8, "tested": 8, "without": 8}.items():
        expect(plot.locator(f".curve.{line} .dot")).to_have_count(points)
    expect(plot.locator(".band")).to_have_count(1)
    expect(plot.locator(".chosen text")).to_have_text("k = 10")
    expect(plot.locator(".tick").filter(has_text=re.compile("^1,280$"))).to_have_count(1)
    across: list[float] = plot.locator(".curve.accuracy .dot").evaluate_all(
        "dots => dots.map(dot => dot.getBoundingClientRect().x)"
    )
    # 2, 3, 5, 10, 20, 50, 100, 1280: from 5 to 10 is as far as from 10 to 20, on a logarithmic axis.
    assert across[3] - across[2] == pytest.approx(across[4] - across[3], abs=1)


def test_a_table_has_the_numbers_of_the_curve(visit: Open, served: str) -> None:
    page = visit(served).open("#view=quality").page
    table = page.locator(".quality table").first
    expect(table.locator("tbody tr")).to_have_count(8)
    row = table.locator("tbody tr").nth(3).locator("td")
    assert row.all_inner_texts() == [
        "10 (k)", "76.3 %", "95.0 % (91.0 to 97.0)", "94.0 % (90.0 to 96.0)",
        "95.0 % (91.0 to 97.0)", "87.0 % (83.0 to 89.0)",
    ]  # fmt: skip
    expect(table.locator("tbody tr").last.locator("td").first).to_have_text("all 1,280 features")


def test_the_confusion_is_a_grid_whose_counts_can_be_read(visit: Open, served: str) -> None:
    page = visit(served).open("#view=quality").page
    grid = page.locator(".confusion tbody")
    assert grid.locator("td").all_inner_texts() == ["40", "·", "·", "·", "40", "·", "7", "·", "40"]
    expect(grid.locator("td").nth(6)).to_have_attribute(
        "title", "7 pictures labelled “cherry” taken for “apple” (15 %)"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_counts_stand_out_from_their_ground_in_grey_too(visit: Open, served: str, theme: str) -> None:
    page = visit(served, color_scheme=theme).open("#view=quality").page
    least: float = page.locator(".confusion td.right, .confusion td.wrong").evaluate_all(
        """cells => {
            const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
            const context = canvas.getContext("2d", {willReadFrequently: true});
            const luminance = colours => {
                for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
                const parts = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map(c => c / 255)
                    .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
            };
            return Math.min(...cells.map(cell => {
                const panel = getComputedStyle(cell.closest(".panel")).backgroundColor;
                const style = getComputedStyle(cell);
                const ground = luminance([panel, style.backgroundColor]);
                const ink = luminance([panel, style.backgroundColor, style.color]);
                return (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
            }));
        }"""
    )
    assert least > 4.5


def test_confused_pairs_have_their_pictures_or_their_names(visit: Open, served: str) -> None:
    page = visit(served).open("#view=quality").page
    pair = page.locator(".pairs li")
    expect(pair).to_contain_text("cherry taken for apple 7 pictures")
    expect(pair.locator(".card")).to_have_count(6)
    expect(pair).to_contain_text("cherry/not-shown.jpg (not shown on the map)")
    pair.locator(".card").first.click()
    expect(page.locator(".picture .file")).to_have_text("cherry_00000.jpg")


def test_pictures_whose_label_may_be_wrong_are_shown_by_pair(visit: Open, tmp_path: Path) -> None:
    pictures = world.groups({"apple": 20, "banana": 20})
    page_file = world.write_site(tmp_path, pictures)
    report = quality_of(["apple", "banana"], pictures.names)
    suspects = [
        {"path": world.IMAGES + name, "label": "apple", "taken_for": "banana", "probability": 0.9}
        for name in pictures.names[:3]
    ]
    report["classifier"] |= {"confused": [], "suspects": suspects}
    write_quality(page_file, report)
    with serving(page_file.parents[1]) as address:
        panel = visit(address).open("#view=quality").page.locator(".panel", has_text="Labels that may be wrong")
        expect(panel.locator(".pairs li")).to_contain_text("apple taken for banana 3 pictures")
        expect(panel.locator(".card")).to_have_count(3)


def test_a_run_without_a_split_or_a_classifier_says_nothing_of_them(visit: Open, tmp_path: Path) -> None:
    pictures = world.groups({"apple": 20, "banana": 20})
    page_file = world.write_site(tmp_path, pictures)
    write_quality(page_file, quality_of(["apple", "banana"], pictures.names) | {"classifier": None})
    with serving(page_file.parents[1]) as address:
        page = visit(address).open("#view=quality").page
        expect(page.locator(".quality .curve.accuracy").first).to_be_visible()
        expect(page.locator(".quality .tested, .confusion")).to_have_count(0)
        expect(page.locator(".quality")).not_to_contain_text("Test")


def test_a_run_of_one_label_says_that_nothing_is_told_apart(visit: Open, tmp_path: Path) -> None:
    pictures = world.groups({"apple": 20})
    page_file = world.write_site(tmp_path, pictures)
    told = quality_of(["apple"], pictures.names)
    told |= {"classifier": None, "by_k": [], "features": None, "judged": 0, "sentence": "No accuracy can be given."}
    told["duplicates"]["bound"] = None  # its weights are random
    write_quality(page_file, told)
    with serving(page_file.parents[1]) as address:
        page = visit(address).open("#view=quality").page
        expect(page.locator(".quality .sentence")).to_have_text("No accuracy can be given.")
        expect(page.locator(".quality")).to_contain_text("k = 10: k was given.")
        expect(page.locator(".quality .plot, .quality table")).to_have_count(0)
        page.get_by_role("tab", name="Duplicates").click()
        expect(page.locator(".duplicates")).to_contain_text("Near-duplicates were not looked for")


def test_results_of_earlier_versions_have_no_such_views(visit: Open, site: Path, tmp_path: Path) -> None:
    shutil.copytree(site.parents[1], tmp_path / "results", ignore=shutil.ignore_patterns("quality.json"))
    with serving(tmp_path / "results") as address:
        opened = visit(address).open("#view=quality")
        expect(opened.page.get_by_role("tab")).to_have_text(["Map", "Compare", "The run"])
        expect(opened.page.get_by_role("tab", name="Map")).to_have_attribute("aria-selected", "true")
        assert all("404" in complaint for complaint in opened.complaints)
        opened.complaints.clear()


def test_figures_that_lack_something_are_told_and_leave_the_map_alone(visit: Open, site: Path, tmp_path: Path) -> None:
    shutil.copytree(site.parents[1], tmp_path / "results")
    (tmp_path / "results" / "explorer" / "data" / "quality.json").write_text('{"format": 1, "sentence": "x"}')
    with serving(tmp_path / "results") as address:
        page = visit(address).open("#view=quality").page
        expect(page.locator(".quality")).to_contain_text("These figures could not be shown")
        page.get_by_role("tab", name="Duplicates").click()
        expect(page.locator(".duplicates")).to_contain_text("These figures could not be shown")
        page.get_by_role("tab", name="Map").click()
        expect(page.locator(".found")).to_have_text("90 pictures shown")


def test_a_page_on_a_disk_has_the_quality_too(visit: Open, site: Path) -> None:
    page = visit(site.as_uri()).open("#view=quality").page
    expect(page.locator(".quality .sentence")).to_contain_text("97 of 100")

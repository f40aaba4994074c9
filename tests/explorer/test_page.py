"""The explorer as somebody uses it: a real Chromium, real data files, mouse, keyboard and finger."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.explorer import explorer_world as world
from tests.explorer.conftest import HOSTILE, Visit, serving, small_run

Open = Callable[..., Visit]
STRAY = "apple_00007.jpg"
FAR = "apple_00011.jpg"


def choose(page: Page, name: str) -> None:
    """Find a picture by its name and open it."""
    page.get_by_label("Search", exact=True).fill(name)
    expect(page.locator(".side-panel h2")).to_have_text(re.compile(r"\(1\)$"))
    page.locator(".side-panel .card").first.click()
    expect(page.locator(".picture .file")).to_have_text(re.compile(re.escape(name)))


def middle_of_map(page: Page) -> tuple[float, float]:
    box = page.locator(".map").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def walk_to_a_picture(page: Page) -> tuple[float, float]:
    """Move the mouse over the map until it lies on a picture."""
    box = page.locator(".map").bounding_box()
    assert box is not None
    for row in range(1, 20):
        for column in range(1, 20):
            x, y = box["x"] + box["width"] * column / 20, box["y"] + box["height"] * row / 20
            page.mouse.move(x, y)
            if page.locator(".tip").is_visible():
                return x, y
    raise AssertionError("the mouse met no picture anywhere on the map")


def test_hovering_shows_the_picture_and_clicking_explains_it(visit: Open, small: str) -> None:
    page = visit(small).open().page
    x, y = walk_to_a_picture(page)
    tip = page.locator(".tip")
    hovered = tip.locator("span").last.inner_text()
    assert "sheet-0000.jpg" in tip.locator(".thumb").evaluate("thumb => getComputedStyle(thumb).backgroundImage")
    page.mouse.click(x, y)
    panel = page.locator(".picture")
    expect(panel.locator(".file")).to_have_text(hovered)
    expect(panel.locator(".cards .card")).to_have_count(10)
    expect(panel.locator(".standing-words").first).to_have_text(
        re.compile(r"^It is (further from|nearer to) the middle of its group than (\d+ %|all)")
    )
    page.get_by_role("button", name="← All pictures").click()
    expect(panel).to_have_count(0)


def test_the_mislabelled_picture_is_found_and_the_reason_told(visit: Open, small: str) -> None:
    page = visit(small).open().page
    page.get_by_role("button", name="May be mislabelled 1").click()
    expect(page.locator(".found")).to_have_text("1 of 140 pictures shown")
    page.locator(".side-panel .card").click()
    expect(page.locator(".picture .file")).to_have_text(STRAY)
    verdict = page.locator(".verdict")
    expect(verdict).to_contain_text("May be mislabelled")
    expect(verdict).to_contain_text("Of its 10 nearest pictures 10 carry the label “banana”, none carries its own.")
    cards = page.locator(".picture .cards .card")
    assert cards.locator(".card-label").all_inner_texts() == ["banana"] * 10
    expect(page.locator(".picture .card.odd")).to_have_count(10)


def test_the_outlier_is_found_and_where_it_stands_told(visit: Open, small: str) -> None:
    page = visit(small).open().page
    page.get_by_role("button", name=re.compile("^Unusual for its label")).click()
    choose(page, FAR)
    expect(page.locator(".verdict")).to_contain_text("Unusual for its label")
    expect(page.locator(".standing-words").first).to_have_text(
        "It is further from the middle of its group than 98 % of the pictures labelled “apple”."
    )


def test_a_neighbour_leads_on_and_the_address_can_be_sent(visit: Open, small: str) -> None:
    first = visit(small).open()
    page = first.page
    choose(page, STRAY)
    page.locator(".picture .cards .card").first.click()
    expect(page.locator(".picture .file")).to_have_text(re.compile(r"banana_\d+\.jpg"))
    name = page.locator(".picture .file").inner_text()
    again = visit(small).open(page.evaluate("location.hash"))
    expect(again.page.locator(".picture .file")).to_have_text(name)


@pytest.mark.parametrize(
    ("search", "shown"), [("banana", 50), ("APPLE_0000", 10), ("banana 0001", 11), ("nothing of the kind", 0)]
)
def test_search_finds_labels_and_names(visit: Open, small: str, search: str, shown: int) -> None:
    page = visit(small).open().page
    page.get_by_label("Search", exact=True).fill(search)
    expect(page.locator(".found")).to_have_text(f"{shown} of 140 pictures shown")


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page of a run that shows 42 of 420 pictures."""
    folder = tmp_path_factory.mktemp("sampled")
    pictures = replace(world.groups({"apple": 300, "banana": 120}), rejects=[("banana/broken.jpg", "truncated")])
    world.write_site(folder, pictures, most=42)
    with serving(folder / "results") as address:
        yield address


def test_a_page_of_a_sample_says_so_and_finds_what_it_does_not_show(visit: Open, sampled: str) -> None:
    page = visit(sampled).open().page
    expect(page.locator(".brand")).to_contain_text("a sample of 42 of 420 pictures")
    expect(page.locator(".note")).to_contain_text("This page shows a sample")
    everywhere = page.locator(".everywhere")
    search = page.get_by_label("Search", exact=True)
    search.fill("apple/apple_0000")
    expect(everywhere).to_contain_text("Of all 420 pictures, 10 whose path or label begins so:")
    expect(everywhere.locator("li")).to_have_count(10)
    expect(everywhere.locator("li").filter(has_text="not in the sample").first).to_be_visible()
    search.fill("banana/broken")
    expect(everywhere.locator("li")).to_have_text(["banana/broken.jpg not used: truncated"])
    search.fill("apple")
    expect(everywhere).to_contain_text("the first 20")
    everywhere.get_by_role("button").first.click()
    expect(page.locator(".picture .file")).to_have_text(re.compile(r"^apple_\d+\.jpg"))
    search.fill("cherry")
    expect(everywhere).to_contain_text("none has a path or label that begins so")
    page.get_by_role("button", name="Clear all filters").click()
    expect(everywhere).to_be_empty()


def test_a_page_of_all_pictures_has_no_second_search(visit: Open, small: str) -> None:
    page = visit(small).open().page
    page.get_by_label("Search", exact=True).fill("apple")
    expect(page.locator(".everywhere")).to_have_count(0)


def test_labels_and_numbers_filter_and_one_button_clears_all(visit: Open, small: str) -> None:
    page = visit(small).open().page
    found = page.locator(".found")
    page.get_by_role("checkbox", name="apple").uncheck()
    expect(found).to_have_text("80 of 140 pictures shown")
    page.get_by_role("button", name="Only banana").click()
    expect(found).to_have_text("50 of 140 pictures shown")
    page.get_by_label("Add a filter by a number").select_option("fromGroup")
    page.get_by_label("Distance from the middle of its label: at most").fill("10")
    shown = int(found.inner_text().split()[0])
    assert 0 < shown < 50
    page.get_by_role("button", name="Clear all filters").click()
    expect(found).to_have_text("140 pictures shown")


def test_what_is_new_since_the_run_before_can_be_shown_alone(visit: Open, small: str) -> None:
    page = visit(small).open().page
    page.get_by_role("button", name="New 2").click()
    cards = page.locator(".side-panel .card")
    expect(cards).to_have_count(2)
    cards.first.click()
    expect(page.locator(".picture")).to_contain_text("new since the run before")


def test_any_two_components_can_be_the_axes(visit: Open, small: str) -> None:
    page = visit(small).open().page
    points = page.locator("canvas.points")
    pixels = "canvas => canvas.toDataURL()"
    before = points.evaluate(pixels)
    page.get_by_label("Across: component").select_option("3")
    page.wait_for_timeout(300)
    assert points.evaluate(pixels) != before


def test_it_can_be_used_with_the_keyboard_alone(visit: Open, small: str) -> None:
    page = visit(small).open().page
    chart = page.get_by_role("application")
    chart.focus()
    page.keyboard.press("ArrowRight")
    first = page.locator(".picture .file").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator(".picture .file").inner_text() != first
    page.keyboard.press("Escape")
    expect(page.locator(".picture")).to_have_count(0)
    page.get_by_role("tab", name="Map").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Compare")).to_be_focused()
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()


def test_two_labels_are_compared(visit: Open, small: str) -> None:
    page = visit(small).open("#view=compare").page
    page.get_by_label("First label").select_option(label="apple")
    page.get_by_label("Second label").select_option(label="banana")
    left = page.locator(".side.first")
    expect(left).to_contain_text("1 of 60 pictures (2 %) lie nearer to the middle of “banana” than to their own.")
    expect(left.locator(".cards").last.locator(".card").first).to_have_attribute("title", re.compile(STRAY))
    expect(page.locator(".rows li")).to_have_count(4)


def test_one_picture_is_compared_with_all_and_with_its_most_similar_group(visit: Open, small: str) -> None:
    page = visit(small).open().page
    choose(page, STRAY)
    page.get_by_role("button", name="Compare with the most similar group").click()
    expect(page.get_by_role("heading", name="Against “banana”")).to_be_visible()
    expect(page.locator(".compare")).to_contain_text("nearer to the middle of “banana” than to the middle of its own")
    page.get_by_role("button", name="This picture with all").click()
    expect(page.get_by_role("heading", name="Against all pictures")).to_be_visible()


def test_the_run_is_told(visit: Open, small: str) -> None:
    page = visit(small).open("#view=run").page
    run = page.locator(".run")
    for words in (
        "142", "140", "81 %", "61.5", "$0.43", "$0.50", "eu-west-1", "0123456789abcdef", "15 min 0 s",
        "k = 4", "mixed/<b>broken</b>.jpg", "cut off", "it ended early", "2 new", "setting “variance”",
        "The same bytes under two labels", "= twice/<b>1.jpg",
        "1,239 files beside the pictures", "source: in a hidden folder, or one of a system",
        "phone/.thumbnails/, .git/, …",
        "notes.txt, <b>list</b>.csv, \\u202egpj.exe\\x1b[2J", "apple/._1.jpg, Thumbs.db",
    ):  # fmt: skip
        expect(run).to_contain_text(words)
    expect(run.locator(".scree li")).to_have_count(7)
    expect(run.locator(".scree li.kept")).to_have_count(4)


def test_random_weights_are_told_loudly(visit: Open, tmp_path: Path) -> None:
    page_file = world.write_site(tmp_path, small_run(), weights="random")
    with serving(page_file.parents[1]) as address:
        page = visit(address).open().page
        expect(page.get_by_role("alert")).to_contain_text("RANDOM weights")


def test_hostile_names_are_text(visit: Open, small: str) -> None:
    page = visit(small).open().page
    for view in ("compare", "quality", "duplicates", "run", "map"):
        page.locator(f"#tab-{view}").click()
    choose(page, '"><svg')
    expect(page.locator(".picture .file")).to_have_text('apple_00003 "><svg onload=hacked=1>.jpg')
    page.get_by_role("button", name="Clear all filters").click()
    expect(page.locator(".labels")).to_contain_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img, svg[onload], b:has-text('broken')").count() == 0
    assert page.evaluate("document.scripts.length") == 1
    page.locator("#tab-run").click()
    expect(page.locator(".run")).to_contain_text("gpj.exe")
    assert page.evaluate(r"/[\x00-\x08\x1b\u202a-\u202e\u2066-\u2069]/.test(document.body.textContent)") is False


def test_a_page_on_a_disk_shows_the_same(visit: Open, small_site: Path) -> None:
    page = visit(small_site.as_uri()).open("#view=run").page
    expect(page.locator(".run")).to_contain_text("$0.43")
    expect(page.locator(".run")).to_contain_text("cut off")
    page.locator("#tab-map").click()
    choose(page, STRAY)
    expect(page.locator(".picture .cards .card")).to_have_count(10)


def test_missing_data_is_one_clear_message(visit: Open, small_site: Path, tmp_path: Path) -> None:
    shutil.copytree(small_site.parent, tmp_path / "explorer", ignore=shutil.ignore_patterns("*.parquet", "*.js"))
    shutil.copy(small_site.parent / "app.js", tmp_path / "explorer" / "app.js")
    opened = visit((tmp_path / "explorer" / "index.html").as_uri())
    opened.page.goto(opened.address)
    expect(opened.page.get_by_role("alert")).to_have_text("The pictures could not be loaded.")
    expect(opened.page.locator("#app")).to_contain_text("keep the whole folder together")
    assert all("ERR_FILE_NOT_FOUND" in complaint for complaint in opened.complaints)
    opened.complaints.clear()


@pytest.mark.parametrize("view", ["map", "compare", "quality", "duplicates", "run"])
def test_on_a_phone_nothing_runs_out_of_the_screen(visit: Open, small: str, view: str) -> None:
    phone = visit(small, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = phone.open(f"#view={view}").page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if view == "map":
        page.touchscreen.tap(*walk_to_a_picture_by_touch(page))
        expect(page.locator(".picture")).to_be_visible()


def walk_to_a_picture_by_touch(page: Page) -> tuple[float, float]:
    """A finger has no hover: the place of a coloured pixel of the map."""
    found: list[float] = page.locator("canvas.points").evaluate(
        """canvas => {
            const context = canvas.getContext("2d");
            const {width, height} = canvas;
            const data = context.getImageData(0, 0, width, height).data;
            const box = canvas.getBoundingClientRect();
            for (let at = 0; at < width * height; at++) {
                const [red, green, blue] = data.slice(at * 4, at * 4 + 3);
                const [across, down] = [(at % width) / width, Math.floor(at / width) / height];
                if (Math.max(red, green, blue) - Math.min(red, green, blue) > 60)
                    return [box.x + across * box.width, box.y + down * box.height];
            }
            return [0, 0];
        }"""
    )
    return found[0], found[1]


def test_dark_follows_the_system_and_the_button(visit: Open, small: str) -> None:
    page = visit(small, color_scheme="dark").open().page
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    assert sum(int(number) for number in re.findall(r"\d+", dark)[:3]) < 150
    page.get_by_role("button", name="Light / dark").click()
    assert page.evaluate(ground) != dark


def busy_seconds(session: CDPSession) -> float:
    """Processor time that the page's main thread has used: what else the machine does is not in it."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def test_fifty_thousand_pictures_are_usable_within_five_seconds_and_move_with_the_hand(visit: Open, large: str) -> None:
    """From the address to a chosen picture with its neighbours; then the map drawn anew in under 100 ms each time."""
    opened = visit(large)
    page = opened.page
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    opened.open()
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".picture .cards .card")).to_have_count(10)
    assert busy_seconds(session) < 5
    x, y = middle_of_map(page)
    page.evaluate("performance.clearMeasures()")
    before = busy_seconds(session)
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(x + 3 * step, y + 2 * step)
    page.mouse.up()
    page.wait_for_timeout(300)
    drawn: int = page.evaluate("performance.getEntriesByName('verger map').length")
    assert drawn > 3
    assert (busy_seconds(session) - before) / drawn < 0.1
    sheets = [url for url in opened.requests if "sheet-" in url]
    assert len(sheets) < 40, "thumbnails are loaded when they are looked at"

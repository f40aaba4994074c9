"""A label looks the same in every run and view, and two that look different do so in a grey print, too."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.explorer import explorer_world as world
from tests.explorer.conftest import Visit, serving

Open = Callable[..., Visit]
SIGNS = """() => Object.fromEntries([...document.querySelectorAll(".labels li")].map(row => [
    row.querySelector(".label-name").textContent,
    [row.querySelector("path").getAttribute("d"), getComputedStyle(row.querySelector("path")).fill]]))"""


@dataclass(frozen=True)
class Sign:
    """How a label looks."""

    outline: str
    colour: tuple[int, ...]

    @property
    def lightness(self) -> float:
        """L* of CIELAB, 0 to 100: the grey that a printer makes of the colour."""
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in self.colour)]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def signs_of(page: Page) -> dict[str, Sign]:
    """The sign of each label in the list of labels."""
    found: dict[str, list[str]] = page.evaluate(SIGNS)
    return {name: Sign(d, tuple(map(int, re.findall(r"\d+", fill)[:3]))) for name, (d, fill) in found.items()}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """400 labels: every colour and shape that there is."""
    page = world.write_site(tmp_path_factory.mktemp("many"), world.groups({f"fruit {at}": 1 for at in range(400)}))
    with serving(page.parents[1]) as address:
        yield address


@pytest.fixture(scope="module")
def other_ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bananas are fewest here, and there are labels beside."""
    page = world.write_site(tmp_path_factory.mktemp("ranks"), world.groups({"banana": 5, "apple": 9, "kiwi": 70}))
    with serving(page.parents[1]) as address:
        yield address


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_any_two_signs_differ_in_a_grey_print(visit: Open, many: str, theme: str) -> None:
    signs = set(signs_of(visit(many, color_scheme=theme).open().page).values())
    assert len({sign.colour for sign in signs}) >= 10
    assert len({sign.outline for sign in signs}) >= 6
    for one, other in combinations(signs, 2):
        assert one.outline != other.outline or abs(one.lightness - other.lightness) > 2.5, (one, other)


@pytest.mark.parametrize(("theme", "ground"), [("light", 98.0), ("dark", 10.0)])
def test_every_colour_stands_off_the_ground_of_the_map(visit: Open, many: str, theme: str, ground: float) -> None:
    signs = signs_of(visit(many, color_scheme=theme).open().page)
    assert min(abs(sign.lightness - ground) for sign in signs.values()) > 35


def test_a_label_looks_the_same_whatever_its_rank(visit: Open, small: str, other_ranks: str) -> None:
    before, after = signs_of(visit(small).open().page), signs_of(visit(other_ranks).open().page)
    assert list(before).index("banana") < list(after).index("banana")
    for label in ("apple", "banana"):
        assert before[label] == after[label]


def test_common_fruits_have_colours_of_their_own(visit: Open, tmp_path: Path) -> None:
    fruits = ["apple", "banana", "cherry", "grape", "kiwi", "lemon", "mango", "orange", "peach", "pear"]
    page_file = world.write_site(tmp_path, world.groups(dict.fromkeys(fruits, 3)))
    with serving(page_file.parents[1]) as address:
        signs = signs_of(visit(address).open().page)
    assert len({sign.colour for sign in signs.values()}) == 10


def test_bars_of_compared_labels_have_the_labels_colours(visit: Open, small: str) -> None:
    page = visit(small).open("#view=compare").page
    page.get_by_label("First label").select_option(label="banana")
    page.get_by_label("Second label").select_option(label="apple")
    signs = signs_of(page)
    for side, label in (("first", "banana"), ("second", "apple")):
        middle = page.locator(f".spread.{side} .spread-middle").first
        expect(middle).to_have_css("background-color", "rgb({}, {}, {})".format(*signs[label].colour))


def test_the_cards_fill_the_width_of_their_panel(visit: Open, small: str) -> None:
    page = visit(small, viewport={"width": 1500, "height": 900}).open().page
    rights: list[float] = page.locator(".side-panel .card").evaluate_all(
        "cards => cards.map(card => card.getBoundingClientRect().right)"
    )
    box = page.locator(".side-panel .cards").bounding_box()
    assert box is not None
    assert abs(max(rights) - (box["x"] + box["width"])) < 1
    assert len(rights) % len(set(map(round, rights))) == 0, "the last row is full"

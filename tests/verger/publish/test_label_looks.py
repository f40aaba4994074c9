"""A label looks the same in the report as in the explorer."""

import re
from pathlib import Path

import pytest
from verger.publish.label_looks import COLOURS, MARKERS, label_colour, label_marker

PAGE = Path(__file__).resolve().parents[3] / "explorer" / "src" / "colours.ts"


# What colours.ts gives, by Node.js: its text, its colour, the number of its shape.
@pytest.mark.parametrize(
    ("label", "colour", "shape"),
    [
        ("apple", "#ce3633", 7),
        ("banana", "#a88104", 2),
        ("orange", "#e17524", 4),
        ("", "#035026", 1),
        ("Ä pfel", "#740c36", 1),
        ("label 007", "#740c36", 0),
        ("🍎", "#77289a", 2),
    ],
)
def test_a_label_has_the_colour_and_shape_of_the_page(label: str, colour: str, shape: int) -> None:
    assert (label_colour(label), MARKERS.index(label_marker(label))) == (colour, shape)


def test_the_page_has_the_same_palette_and_seed() -> None:
    source = PAGE.read_text("utf-8")
    (light,) = re.findall(r"const LIGHT = \[(.*?)\]", source)
    assert tuple(re.findall(r"#[0-9a-f]{6}", light)) == COLOURS
    assert "const SEED = 2146572;" in source

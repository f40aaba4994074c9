"""From what was measured to what was not."""

import math

from hypothesis import given
from hypothesis import strategies as st

from tools.scale.extrapolation import at, bend

SIZES = (10, 100, 1000)


@given(st.floats(0, 1e6), st.floats(0, 1e3))
def test_what_grows_in_a_line_is_found_at_any_number(start: float, each: float) -> None:
    runs = [{"images": size, "bytes": start + each * size} for size in SIZES]
    assert math.isclose(at(10**6, runs, lambda run: run["bytes"]), start + each * 10**6, rel_tol=1e-6, abs_tol=1e-3)


def test_a_measured_number_is_taken_as_it_was() -> None:
    runs = [{"images": size, "seconds": size**2} for size in SIZES]
    assert at(100, runs, lambda run: run["seconds"]) == 10_000


def test_nothing_takes_less_than_nothing() -> None:
    runs = [{"images": 10, "seconds": 3.0}, {"images": 20, "seconds": 1.0}]
    assert at(1000, runs, lambda run: run["seconds"]) == 0


def test_a_bend_shows_what_grows_faster_than_the_images() -> None:
    straight = [{"images": size, "seconds": 5 + 2 * size} for size in SIZES]
    square = [{"images": size, "seconds": size**2} for size in SIZES]
    straightness = bend(straight, lambda run: run["seconds"])
    assert straightness is not None
    assert math.isclose(straightness, 1.0)
    assert (bend(square, lambda run: run["seconds"]) or 0) > 5
    assert bend(straight[:2], lambda run: run["seconds"]) is None

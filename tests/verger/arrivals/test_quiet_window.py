"""When pictures are at rest."""

from hypothesis import given
from hypothesis import strategies as st
from verger.arrivals.quiet_window import QuietWindow


def test_pictures_are_at_rest_when_nothing_changed_for_the_whole_window() -> None:
    window = QuietWindow(10)
    assert window.observe("a", 0) == 10
    assert window.observe("a", 9) == 1
    assert window.observe("b", 9.5) == 10
    assert window.observe("a", 10) == 10
    assert window.observe("a", 20) == 0


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5)), min_size=1), st.floats(0, 10))
def test_rest_is_never_told_before_the_window_has_passed_since_the_last_change(
    looks: list[tuple[str, float]], seconds: float
) -> None:
    window, now, changed, before = QuietWindow(seconds), 0.0, 0.0, ""
    for digest, pause in looks:
        now += pause
        changed = now if digest != before else changed
        before = digest
        missing = window.observe(digest, now)
        assert (missing == 0) is (changed + seconds - now <= 0)

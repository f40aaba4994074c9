"""What counts as a change, and when pictures are at rest."""

from hypothesis import given
from hypothesis import strategies as st
from verger.arrivals.listing import QuietWindow, listing_digest
from verger.plan.listing import ListedImage

PAIRS = st.dictionaries(st.text(max_size=8), st.text(max_size=4), max_size=5)


def images(pairs: dict[str, str]) -> list[ListedImage]:
    return [ListedImage(path, etag, "label", 1) for path, etag in pairs.items()]


@given(PAIRS, PAIRS)
def test_two_listings_have_one_digest_exactly_when_they_are_of_the_same_pictures(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert (listing_digest(images(one)) == listing_digest(images(other))) is (one == other)


@given(PAIRS)
def test_the_order_of_a_listing_does_not_matter(pairs: dict[str, str]) -> None:
    assert listing_digest(images(pairs)) == listing_digest(reversed(images(pairs)))


def test_an_overwritten_a_new_and_a_deleted_picture_are_changes() -> None:
    before = {"a": "1", "b": "2"}
    states = [before, {"a": "1", "b": "3"}, {**before, "c": "1"}, {"a": "1"}]
    assert len({listing_digest(images(state)) for state in states}) == len(states)


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

"""When a step stands still: a slow one is never taken for one that hangs, and one that hangs always is."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from verger.cluster.stall import Sign, StallBounds, stall_of

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOUNDS = StallBounds.of_minutes(10, 30)


def signs_at(*minutes: float) -> list[Sign]:
    return [Sign(START + timedelta(minutes=minute), f"sign {minute}") for minute in minutes]


@given(gaps=st.lists(st.floats(0.01, 9.99), max_size=60), looks=st.lists(st.integers(0, 40_000), max_size=20))
def test_a_slow_step_that_moves_within_the_first_bound_is_never_told_nor_ended(
    gaps: list[float], looks: list[int]
) -> None:
    """Whenever it is looked at, by whoever: hours of work, a sign now and then."""
    moments = [sum(gaps[:count]) for count in range(1, len(gaps) + 1)]
    end = moments[-1] if moments else 0
    for look in looks:
        minute = look / 40_000 * end
        seen = signs_at(*(moment for moment in moments if moment <= minute))
        stall = stall_of(START + timedelta(minutes=minute), START, seen)
        assert stall.times(BOUNDS) == 0
        assert not stall.is_over(BOUNDS)


@given(last=st.floats(0, 600), still=st.floats(0, 600))
def test_a_step_that_hangs_is_told_at_each_multiple_and_ended_at_the_second_bound(last: float, still: float) -> None:
    now = START + timedelta(minutes=last) + timedelta(minutes=still)
    stall = stall_of(now, START, signs_at(last))
    assert stall.times(BOUNDS) == stall.lasts // timedelta(minutes=10)
    assert stall.is_over(BOUNDS) == (stall.lasts >= timedelta(minutes=30))
    assert not stall.is_over(StallBounds.of_minutes(10, 0))


def test_what_an_earlier_step_left_counts_for_nothing() -> None:
    stall = stall_of(START + timedelta(minutes=12), START, signs_at(-300, -1))
    assert stall.lasts == timedelta(minutes=12)
    assert stall.describe() == ("has not moved for 12 min 0 s, since 2026-11-21 12:00:00 UTC; last seen: its start")


def test_a_sign_of_the_future_is_one_of_now() -> None:
    assert stall_of(START, START, signs_at(0.1)).lasts == timedelta(0)

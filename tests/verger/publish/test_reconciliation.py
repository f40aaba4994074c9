"""The counts that must agree."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.publish.reconciliation import Counts, CountsDisagreeError, reconcile

NUMBERS = st.integers(0, 10**9)


def agreeing(featurized: int, rejected: int) -> Counts:
    return Counts(featurized + rejected, featurized, rejected, featurized, featurized, rejected)


@given(NUMBERS, NUMBERS)
def test_counts_that_agree_pass(featurized: int, rejected: int) -> None:
    counts = agreeing(featurized, rejected)
    assert reconcile(counts) is counts


@given(NUMBERS, NUMBERS, st.sampled_from(sorted(Counts.__dataclass_fields__)), st.integers(-3, 3).filter(bool))
def test_one_count_that_differs_is_found(featurized: int, rejected: int, name: str, off: int) -> None:
    counts = agreeing(featurized, rejected)
    wrong = replace(counts, **{name: getattr(counts, name) + off})
    with pytest.raises(CountsDisagreeError, match=r"do not agree: .*not published"):
        reconcile(wrong)

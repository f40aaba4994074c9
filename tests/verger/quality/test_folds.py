"""Folds keep groups together and spread the labels; what is drawn is fair, and always the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from verger.quality.folds import FOLDS, cut_into_folds, draw_evenly

IMAGES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), min_size=1, max_size=120)


@given(IMAGES)
def test_a_group_is_never_cut(images: list[tuple[int, int]]) -> None:
    codes, groups = np.array(images, np.int64).T
    folds = cut_into_folds(codes.astype(np.int32), groups)
    assert set(folds.tolist()) <= set(range(FOLDS))
    for group in set(groups.tolist()):
        assert len(set(folds[groups == group].tolist())) == 1
    assert (folds == cut_into_folds(codes.astype(np.int32), groups)).all()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200))
def test_without_groups_each_label_is_spread_evenly(labels: list[int]) -> None:
    codes = np.array(labels, np.int32)
    folds = cut_into_folds(codes, np.arange(len(codes)))
    for label in set(labels):
        counts = np.bincount(folds[codes == label], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1


@given(st.lists(st.integers(0, 9), min_size=1, max_size=300), st.integers(20, 100))
def test_what_is_drawn_holds_of_each_label_its_share(labels: list[int], most: int) -> None:
    codes = np.array(labels, np.int32)
    drawn = draw_evenly(codes, most)
    assert (np.diff(drawn) > 0).all()
    for label in set(labels):
        count = labels.count(label)
        share = count if len(labels) <= most else min(count, max(2, count * most // len(labels)))
        assert (codes[drawn] == label).sum() == share

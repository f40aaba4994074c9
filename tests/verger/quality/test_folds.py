"""Folds keep groups together and spread the labels; what is drawn is fair, and always the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from verger.quality.folds import FOLDS, cut_chains, cut_into_folds, draw_evenly

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


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=80))
def test_after_a_cut_no_group_holds_more_than_half_of_a_label(images: list[tuple[int, int]]) -> None:
    codes, groups = np.array(images, np.int64).T
    codes = codes.astype(np.int32)
    found, cut = cut_chains(codes, groups)
    for group in set(found.tolist()):
        inside = found == group
        assert len(set(groups[inside].tolist())) == 1, "a cut joins nothing"
        for label in set(codes[inside].tolist()):
            of_label = (codes == label).sum()
            assert 2 * (codes[inside] == label).sum() <= of_label or (codes[inside] == label).sum() == 1
    assert cut or (found == groups).all()


def test_one_chain_of_a_whole_label_is_cut_into_runs() -> None:
    codes = np.array([0] * 10 + [1] * 10, np.int32)
    groups = np.array([0] * 10 + list(range(1, 11)))
    found, cut = cut_chains(codes, groups)
    assert cut == 1
    runs = [found[at : at + 2].tolist() for at in range(0, 10, 2)]
    assert all(len(set(run)) == 1 for run in runs)
    assert len({run[0] for run in runs}) == 5

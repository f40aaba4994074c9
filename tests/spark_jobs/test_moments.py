"""Moments of many vectors: exact, and the same bits however the work was cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from spark_jobs.job_errors import RefusedError
from spark_jobs.pca.feature_blocks import BLOCK_IMAGES, blocks_per_task, rows_in_groups
from spark_jobs.pca.moments import Moments, merge_in_order, moments_of, pack, unpack
from spark_jobs.pca.pca_model import PcaModel, check_k, choose_k, fit, fix_signs


def vectors(n: int, d: int = 6, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1) + 1000).astype(np.float32)


@given(st.integers(1, 70), st.integers(1, 9))
def test_blocks_merged_are_the_whole(n: int, block: int) -> None:
    data = vectors(n)
    got = merge_in_order(moments_of(data[start : start + block]) for start in range(0, n, block))
    wide = data.astype(np.float64)
    assert got.n == n
    assert np.allclose(got.mean, wide.mean(axis=0), rtol=1e-12)
    assert np.allclose(got.scatter, (wide - wide.mean(axis=0)).T @ (wide - wide.mean(axis=0)), rtol=1e-9, atol=1e-6)


@given(st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16]))
def test_tasks_of_a_power_of_two_blocks_give_the_same_bits(blocks: int, per_task: int) -> None:
    pieces = [moments_of(vectors(3, seed=block)) for block in range(blocks)]
    tasks = [merge_in_order(pieces[start : start + per_task]) for start in range(0, blocks, per_task)]
    once, again = merge_in_order(pieces), merge_in_order(tasks)
    assert (once.n, once.mean.tobytes(), once.scatter.tobytes()) == (
        again.n,
        again.mean.tobytes(),
        again.scatter.tobytes(),
    )


def test_features_that_never_change_are_exactly_constant() -> None:
    data = vectors(50)
    data[:, 2] = 0.1
    got = merge_in_order(moments_of(data[start : start + 7]) for start in range(0, 50, 7))
    assert not got.scatter[2].any()
    assert got.mean[2] == np.float32(0.1)


def test_packed_moments_arrive_as_they_left() -> None:
    sent = moments_of(vectors(9))
    got = unpack(pack(sent))
    assert np.array_equal(got.scatter, sent.scatter)
    assert np.array_equal(got.mean, sent.mean)
    assert got.n == 9


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="nothing to merge"):
        merge_in_order([])


def test_fewer_images_than_features_equal_scikit_learn() -> None:
    data = vectors(5, d=20)
    model = fit(moments_of(data), standardize=False)
    reference = PCA(svd_solver="full").fit(data.astype(np.float64))
    assert model.k == 5
    assert np.allclose(model.explained_variance[:4], reference.explained_variance_[:4], rtol=1e-9)
    assert np.allclose(np.abs(model.project(data)[:, :4]), np.abs(reference.transform(data)[:, :4]), rtol=1e-5)


def test_the_largest_loading_of_each_component_is_positive() -> None:
    assert np.array_equal(fix_signs(np.array([[0.1, -0.9], [0.8, 0.2]])), [[-0.1, 0.9], [0.8, 0.2]])


def model_of(shares: list[float]) -> PcaModel:
    k = len(shares)
    return PcaModel(9, np.zeros(k), np.ones(k), np.eye(k), np.array(shares), np.array(shares), standardize=False)


@pytest.mark.parametrize(("variance", "k"), [(0.5, 1), (0.6, 1), (0.61, 2), (0.9, 2), (1.0, 3), (0.1, 1)])
def test_the_smallest_k_that_reaches_the_share(variance: float, k: int) -> None:
    assert choose_k(model_of([0.6, 0.3, 0.1]), None, variance) == k


def test_a_share_out_of_reach_keeps_everything() -> None:
    assert choose_k(model_of([0.3, 0.1]), None, 0.5) == 2


def test_where_nothing_varies_one_component_is_as_good_as_all() -> None:
    assert choose_k(model_of([0.0, 0.0]), None, 0.5) == 1


def test_more_components_than_a_stored_model_has_are_refused() -> None:
    with pytest.raises(RefusedError, match="--k 3 is more than the 2 components"):
        choose_k(model_of([0.6, 0.3]), 3, None)


def test_k_may_equal_the_number_of_images_or_features() -> None:
    check_k(4, 4, 1280)
    check_k(1280, 5000, 1280)
    with pytest.raises(RefusedError, match="at most 4"):
        check_k(5, 4, 1280)
    with pytest.raises(RefusedError, match="at least 2 images"):
        fit(Moments(1, np.zeros(2), np.zeros((2, 2))), standardize=False)


@given(st.integers(1, 10_000_000), st.integers(1, 500), st.sampled_from([None, 1, 8]))
def test_a_task_has_a_power_of_two_blocks_and_each_slot_has_a_few(images: int, slots: int, most: int | None) -> None:
    count = blocks_per_task(images, slots, most)
    assert count.bit_count() == 1
    tasks = -(-images // (count * BLOCK_IMAGES))
    if most is not None:
        assert count <= most
    else:
        assert tasks <= 6 * slots + 1, "the partial results that travel do not grow with the images"
    if count > 1:
        assert tasks >= 3 * slots


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8), st.data())
def test_rows_are_found_when_only_their_row_groups_are_read(lengths: list[int], data: st.DataObject) -> None:
    everything = np.arange(sum(lengths))
    rows = np.array(sorted(data.draw(st.sets(st.sampled_from(everything.tolist()), min_size=1))), np.int64)
    groups, places = rows_in_groups(lengths, rows)
    parts = np.split(everything, np.cumsum(lengths)[:-1])
    assert np.array_equal(np.concatenate([parts[group] for group in groups])[places], rows)

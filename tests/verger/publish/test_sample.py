"""A sample of very many images shows each label in proportion, and is the same each time."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from verger.publish.plots import MOST_POINTS, draw_map
from verger.publish.sample import stratified_sample


@given(st.lists(st.sampled_from(["Apple", "Kiwi", "", "Pêche"]), max_size=60), st.integers(1, 40))
def test_every_label_is_there_in_proportion_and_the_sample_is_the_same_each_time(labels: list[str], most: int) -> None:
    rows = stratified_sample(pa.array(labels, pa.string()), most)
    chosen = [labels[row] for row in rows]
    assert list(rows) == sorted(set(rows.tolist()))
    assert list(rows) == list(stratified_sample(pa.array(labels, pa.string()), most))
    if len(labels) <= most:
        assert chosen == labels
        return
    assert {label: chosen.count(label) for label in set(labels)} == {
        label: max(1, labels.count(label) * most // len(labels)) for label in set(labels)
    }


def test_a_sample_is_taken_at_random_and_not_from_the_beginning() -> None:
    rows = stratified_sample(pa.array(["Apple"] * 10_000), 1000)
    assert 4000 < np.mean(rows) < 6000


def matrix(images: int) -> pa.Table:
    numbers = np.arange(images, dtype=np.float64)
    labels = ["Rare"] + ["Common"] * (images - 1)
    return pa.table({"label": labels, "pc_1": np.sin(numbers), "pc_2": np.cos(numbers)})


def test_a_map_of_very_many_images_shows_a_sample_and_says_so() -> None:
    drawn = draw_map(matrix(MOST_POINTS + 1000), "svg").decode()
    assert f"a sample of {MOST_POINTS:,} of {MOST_POINTS + 1000:,} images" in drawn
    assert "Rare" in drawn


def test_a_map_of_all_images_says_nothing() -> None:
    assert "a sample of" not in draw_map(matrix(2500), "svg").decode()

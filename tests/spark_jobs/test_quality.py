"""How good the matrix is: the figures are those of scikit-learn, planted faults are found, samples are fair."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from verger_rules.accuracy import balanced_share, share_of
from verger_rules.addresses import S3Address
from verger_rules.split import NEITHER, TEST, TRAINING, part_of, parts_of

from spark_jobs.pca.feature_blocks import FeatureImages
from spark_jobs.pca.moments import moments_of
from spark_jobs.pca.pca_model import PcaModel, fit
from spark_jobs.quality.judgement import Judged, judge
from spark_jobs.quality.near_duplicates import find_near_duplicates
from spark_jobs.quality.nearest import nearest_by_k
from spark_jobs.quality.number_of_components import AutoK, choose_auto, keeps
from spark_jobs.quality.sample import Sample, choose_sample
from spark_jobs.store.object_store import StoreSettings

Vectors = npt.NDArray[np.float32]


def labelled(images: int, labels: int, *, spread: float = 2.5, seed: int = 5) -> tuple[Vectors, list[str]]:
    """Vectors like features around the middle of each label, in the order of the labels."""
    random = np.random.default_rng(seed)
    which = np.sort(random.integers(0, labels, images))
    middles = random.normal(size=(labels, 1280))
    vectors = np.maximum(middles[which] + random.normal(size=(images, 1280)) * spread, 0)
    return vectors.astype(np.float32), [f"fruit {label:02}" for label in which]


def sample_of(labels: list[str], folder: str = "") -> Sample:
    paths = [f"s3://fruits/images/{folder}{label}/{number:05}.jpg" for number, label in enumerate(labels)]
    return Sample(np.arange(len(labels)), pa.table({"path": paths, "label": labels}))


def fitted(vectors: Vectors, *, standardize: bool = False) -> PcaModel:
    return fit(moments_of(vectors), standardize=standardize)


def judged(vectors: Vectors, labels: list[str], **more: bool) -> Judged:
    return judge(fitted(vectors, **more), sample_of(labels), vectors, (), "", near=True).report


@pytest.mark.parametrize("standardize", [False, True])
def test_the_accuracies_are_scikit_learns(standardize: bool) -> None:
    vectors, names = labelled(400, 8)
    found = judged(vectors, names, standardize=standardize)
    labels = np.array(names)
    scaled = vectors.astype(np.float64)
    if standardize:
        scaled = (scaled - scaled.mean(axis=0)) / scaled.std(axis=0)
    scores = PCA(200, svd_solver="full").fit_transform(scaled)
    spaces = [(row, scores[:, : row["k"]]) for row in found["by_k"]]
    for row, space in [*spaces, (found["features"], vectors.astype(np.float64))]:
        two = KNeighborsClassifier(2, algorithm="brute").fit(space, labels).kneighbors(return_distance=False)
        nearest = labels[two[:, 0]]
        assert row["accuracy"]["value"] == pytest.approx((nearest == labels).mean(), abs=1e-6)
        assert row["balanced"]["value"] == pytest.approx(balanced_accuracy_score(labels, nearest), abs=1e-6)
    assert [row["k"] for row in found["by_k"]] == [2, 5, 10, 20, 50, 100, 200]
    assert found["by_k"][-1]["variance"] == pytest.approx(
        PCA(200, svd_solver="full").fit(scaled).explained_variance_ratio_.sum(), abs=1e-6
    )


def test_test_is_judged_by_training_as_scikit_learn_does_it() -> None:
    vectors, names = labelled(300, 6)
    training = np.arange(300) % 3 > 0
    paths = [
        f"s3://fruits/images/{'Training' if of else 'Test'}/{name}/{at}.jpg"
        for at, (name, of) in enumerate(zip(names, training, strict=True))
    ]
    sample = Sample(np.arange(300), pa.table({"path": paths, "label": names}))
    model = fitted(vectors)
    found = judge(model, sample, vectors, (), "", near=True).report["split"]
    labels = np.array(names)
    for row in found["by_k"]:
        scores = model.cut(row["k"]).project(vectors)
        learnt = KNeighborsClassifier(1, algorithm="brute").fit(scores[training], labels[training])
        assert row["accuracy"]["value"] == pytest.approx(learnt.score(scores[~training], labels[~training]), abs=1e-6)
    assert (found["training"], found["test"], found["near_duplicates"]) == (200, 100, 0)


def test_near_duplicates_across_the_split_are_counted_and_left_out() -> None:
    vectors, names = labelled(60, 3, spread=6.0)
    copies = (vectors[:20] * 1.001 + 0.001).astype(np.float32)
    both = np.concatenate([vectors, copies])
    names += names[:20]
    paths = [f"s3://b/images/{'Test' if at >= 60 else 'Training'}/{name}/{at}.jpg" for at, name in enumerate(names)]
    order = np.argsort(paths)
    sample = Sample(np.arange(80), pa.table({"path": paths, "label": names}).take(order))
    found = judge(fitted(both), sample, both[order], (), "", near=True).report
    assert found["split"]["near_duplicates"] == 20
    assert found["split"]["features"]["accuracy"]["value"] == 1.0
    assert found["split"]["features"]["without_duplicates"] is None
    assert found["features"]["without_duplicates"]["value"] < found["features"]["accuracy"]["value"]


def test_planted_copies_are_grouped_and_nothing_else_is() -> None:
    vectors, names = labelled(200, 4)
    vectors[150] = vectors[3] * 1.01
    vectors[160] = vectors[3] * 0.99
    found = judge(fitted(vectors), sample_of(names), vectors, (), "", near=True).images
    groups = found["near_group"].to_pylist()
    assert [at for at, group in enumerate(groups) if group is not None] == [3, 150, 160]
    assert {groups[at] for at in (3, 150, 160)} == {3}
    assert found["similarity"][150].as_py() == pytest.approx(1, abs=1e-5)


def test_a_chain_of_near_duplicates_is_one_group_in_any_order() -> None:
    steps = np.array([[np.cos(angle), np.sin(angle)] for angle in np.arange(0, 3, 0.3)], np.float32)
    order = np.random.default_rng(3).permutation(len(steps))
    found = find_near_duplicates(steps[order], bound=0.95)
    assert set(found.group.tolist()) == {0}


def test_with_random_weights_no_near_duplicates_are_looked_for() -> None:
    vectors, names = labelled(30, 3)
    found = judge(fitted(vectors), sample_of(names), vectors, (), "", near=False)
    assert found.report["near_bound"] is None
    assert found.images["near_group"].null_count == 30


@pytest.mark.parametrize("names", [["apple"] * 5, ["a", "b", "c", "d", "e"], ["a"]])
def test_where_nothing_can_be_told_apart_it_says_so(names: list[str]) -> None:
    vectors, _ = labelled(5, 2)
    found = judged(vectors, names) if len(names) > 1 else {"by_k": [], "split": None}
    assert found["by_k"] == []
    assert "not two labels" in keeps(found, 3)
    assert choose_auto(AutoK(2, 4), found).k == 4


def test_of_equally_near_images_the_first_counts() -> None:
    places = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
    assert nearest_by_k(places, places, (2,), same=True).tolist() == [[1, 0, 0, 0]]


@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 1000))
def test_the_nearest_one_is_the_nearest_one(count: int, dimensions: int, seed: int) -> None:
    places = np.random.default_rng(seed).normal(size=(count, dimensions))
    ks = tuple(range(1, dimensions + 1))
    found = nearest_by_k(places, places, ks, same=True)
    for k, nearest in zip(ks, found, strict=True):
        apart = np.linalg.norm(places[:, None, :k] - places[None, :, :k], axis=2)
        np.fill_diagonal(apart, np.inf)
        assert np.allclose(apart[np.arange(count), nearest], apart.min(axis=1), rtol=1e-4, atol=1e-5)


def report_of(by_k: dict[int, float], features: float) -> Judged:
    rows = [{"k": k, "accuracy": {"value": value}} for k, value in by_k.items()]
    return {"split": None, "by_k": rows, "features": {"k": 1280, "accuracy": {"value": features}}}


@pytest.mark.parametrize(
    ("bounds", "k"), [(AutoK(2, 100), 20), (AutoK(2, 10), 10), (AutoK(50, 100), 50), (AutoK(2, 15), 10)]
)
def test_auto_keeps_the_fewest_within_one_point_of_the_best(bounds: AutoK, k: int) -> None:
    found = report_of({2: 0.5, 10: 0.9, 20: 0.97, 50: 0.98, 100: 0.975}, 0.96)
    chosen = choose_auto(bounds, found)
    assert chosen.k == k
    assert f"{k} " in chosen.reason


def test_a_split_without_a_common_label_does_not_decide() -> None:
    found = report_of({2: 0.5, 10: 0.9}, 0.9) | {"split": report_of({2: 0.0, 10: 0.0}, 0.0)}
    chosen = choose_auto(AutoK(2, 100), found)
    assert chosen.k == 10
    assert "leave one out" in chosen.reason


def test_of_one_label_a_split_decides_nothing_either() -> None:
    found: Judged = {"split": report_of({2: 1.0, 10: 1.0}, 1.0), "by_k": [], "features": None}
    assert choose_auto(AutoK(2, 100), found).k == 10


def test_the_sentence_is_one_that_a_person_says() -> None:
    found = report_of({10: 0.972, 1: 0.996}, 0.981)
    assert keeps(found, 10) == "10 components keep 97 of 100 right neighbours; all 1,280 features keep 98."
    assert keeps(found, 1).startswith("1 component keeps 99.6 of 100")
    assert choose_auto(AutoK(1, 1), found).reason.startswith("1 component reaches 99.6%")


def test_what_is_not_all_is_not_told_as_all() -> None:
    found = report_of({10: 0.9996, 20: 1.0}, 0.0004)
    assert keeps(found, 10) == "10 components keep 99.9 of 100 right neighbours; all 1,280 features keep 0.1."
    assert keeps(found, 20).startswith("20 components keep 100 of 100")


@given(st.integers(0, 500), st.integers(1, 500))
def test_a_share_lies_in_its_interval(right: int, judged: int) -> None:
    share = share_of(min(right, judged), judged)
    assert 0 <= share.low <= share.value + 1e-12
    assert share.value - 1e-12 <= share.high <= 1


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998 (doi:10.1002/(SICI)1097-0258), table I, method 3: 81 of 263 and 0 of 20.
    share = share_of(81, 263)
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)
    assert (round(share_of(0, 20).low, 4), round(share_of(0, 20).high, 4)) == (0.0, 0.1611)


def test_balanced_over_labels_every_label_counts_the_same() -> None:
    right = np.array([True] * 90 + [False] * 10)
    labels = np.array([0] * 90 + [1] * 10, np.int32)
    assert balanced_share(right, labels).value == 0.5


@pytest.mark.parametrize(
    ("path", "folder", "part"),
    [
        ("s3://b/images/Training/Apple/1.jpg", "", TRAINING),
        ("s3://b/images/test/Apple/1.jpg", "", TEST),
        ("s3://b/images/Test/Training/Apple/1.jpg", "", TRAINING),
        ("s3://b/images/Test/1.jpg", "", NEITHER),
        ("s3://Test/images/Apple/1.jpg", "", NEITHER),
        ("s3://b/images/held/Apple/1.jpg", "held", TEST),
        ("s3://b/images/Apple/1.jpg", "held", TRAINING),
        ("s3://b/images/Pru\u0308fung/Apple/1.jpg", "Pr\u00fcfung", TEST),
    ],
)
def test_the_part_is_told_by_the_folders_above_the_label(path: str, folder: str, part: str) -> None:
    assert part_of(path, folder) == part


def test_without_one_of_the_parts_there_is_no_split() -> None:
    assert set(parts_of(["s3://b/images/Training/a/1.jpg", "s3://b/images/a/2.jpg"]).tolist()) == {NEITHER}


class ListedImages(FeatureImages):
    """Images without features, as a run's answers list them."""

    def __init__(self, labels: list[str]) -> None:
        super().__init__(StoreSettings(None, "eu-west-1"), S3Address("b", "features"), ())
        object.__setattr__(self, "labels", labels)

    labels: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, columns: Sequence[str], start: int, stop: int, at_once: int) -> Iterator[pa.Table]:
        paths = [f"s3://b/images/{label}/{number:06}.jpg" for number, label in enumerate(self.labels)]
        for first in range(start, stop, at_once // 10):
            last = min(stop, first + at_once // 10)
            yield pa.table({"path": paths[first:last], "label": self.labels[first:last]}).select(list(columns))


def test_a_sample_holds_of_each_label_its_share_and_two_at_least() -> None:
    images = ListedImages(["common"] * 9000 + ["rare"] * 12 + ["seldom"] * 988)
    sample = choose_sample(images, 1000)
    counts = Counter(sample.images["label"].to_pylist())
    assert counts == {"common": 900, "rare": 2, "seldom": 98}
    assert (np.diff(sample.numbers) > 0).all()
    again = choose_sample(ListedImages(["common"] * 8990 + ["rare"] * 12 + ["seldom"] * 988), 1000)
    assert len(set(sample.images["path"].to_pylist()) & set(again.images["path"].to_pylist())) > 700


def test_a_sample_of_more_labels_than_it_may_have_images_stays_small() -> None:
    sample = choose_sample(ListedImages([f"l{at // 3}" for at in range(3000)]), 500)
    assert len(sample) == 500
    # An image whose label no other one has could not be judged.
    assert set(Counter(sample.images["label"].to_pylist()).values()) == {2}

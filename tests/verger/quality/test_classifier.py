"""The baseline classifier: judged by images that it did not learn from, and honest about what it confuses."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression as TheirRegression
from verger.quality.classifier import Examples, Verdicts, choose_examples, describe_classifier, find_suspects, judge_by
from verger.quality.folds import cut_into_folds

from tests.verger.quality.judged_run import features_of, judged_images

TWO = ["apple"] * 40 + ["banana"] * 40


def examples_of(labels: list[str], features: npt.NDArray[np.float32] | None = None, **more: Any) -> Examples:
    judged = judged_images(labels, features, **more)
    found = choose_examples(judged, judged.features[:, :5].astype(np.float64))
    assert found is not None
    return found


def test_the_verdicts_of_cross_validation_are_scikit_learns() -> None:
    labels = [f"l{at // 30:02}" for at in range(180)]
    examples = examples_of(labels, features_of(labels, spread=7.0))
    found = judge_by(examples.features, examples)
    assert found.numbers.tolist() == list(range(180))
    folds = cut_into_folds(examples.codes, examples.groups)
    theirs = np.empty(180, np.int32)
    for fold in range(5):
        learnt, held = examples.features[folds != fold].astype(np.float64), examples.features[folds == fold]
        centred = learnt - learnt.mean(axis=0)
        scale = np.sqrt(np.square(centred).mean())
        model = TheirRegression(C=1.0, max_iter=5000).fit(centred / scale, examples.codes[folds != fold])
        theirs[folds == fold] = model.predict((held - learnt.mean(axis=0)) / scale)
    right = (theirs == examples.codes).mean()
    assert 0.3 < right < 0.99
    assert (found.taken_for == theirs).mean() >= 0.97


def test_what_lies_under_the_wrong_label_is_the_most_confused_pair() -> None:
    labels = [*TWO, *["cherry"] * 40]
    wrong = labels.copy()
    wrong[0:8] = ["banana"] * 8
    found = describe_classifier(examples_of(wrong, features_of(labels)))
    assert found["confused"][0]["label"] == "banana"
    assert found["confused"][0]["taken_for"] == "apple"
    assert found["confused"][0]["images"] == 8
    assert len(found["confused"][0]["paths"]) == 6
    assert np.sum(found["confusion"]) == 120
    assert found["confusion_labels"] == ["apple", "banana", "cherry"]
    assert found["features"]["accuracy"]["value"] == pytest.approx(112 / 120, abs=1e-6)


def test_images_under_the_wrong_label_are_suspected_the_surest_first() -> None:
    wrong = TWO.copy()
    wrong[0:3] = ["banana"] * 3
    examples = examples_of(wrong, features_of(TWO))
    found = describe_classifier(examples)["suspects"]
    assert {one["path"] for one in found} == set(examples.paths[:3])
    assert {(one["label"], one["taken_for"]) for one in found} == {("banana", "apple")}
    sure = [one["probability"] for one in found]
    assert sure == sorted(sure, reverse=True)
    assert 0.5 < sure[-1] <= sure[0] <= 1


def test_at_most_a_hundred_images_are_suspected() -> None:
    examples = examples_of(TWO * 3)
    sure = np.where(examples.codes == 0, 0.02, 0.98)[:, None]
    found = find_suspects(Verdicts(np.arange(240), np.hstack([sure, 1 - sure])), examples)
    assert len(found) == 100
    assert {one["probability"] for one in found} == {0.98}


def test_an_image_whose_own_label_is_still_possible_is_not_suspected() -> None:
    examples = examples_of(TWO)
    probabilities = np.tile([0.85, 0.15], (80, 1))
    assert find_suspects(Verdicts(np.arange(80), probabilities), examples) == []


def test_near_duplicates_do_not_judge_each_other() -> None:
    random = np.random.default_rng(9)
    noise = random.normal(size=(40, 1280)).astype(np.float32)
    pairs = np.concatenate([noise, noise])
    labels = [f"l{at % 2}" for at in range(40)] * 2
    together = examples_of(labels, pairs, near=[(at, at + 40) for at in range(40)])
    apart = examples_of(labels, pairs)
    assert describe_classifier(together)["grouped"] is True
    assert describe_classifier(apart)["features"]["accuracy"]["value"] > 0.8
    assert describe_classifier(together)["features"]["accuracy"]["value"] < 0.75


def test_where_there_is_a_split_only_test_is_judged() -> None:
    parts = (["Training"] * 30 + ["Test"] * 10) * 2
    found = describe_classifier(examples_of(TWO, parts=parts))
    assert (found["tested_on"], found["folds"]) == ("Test", None)
    assert np.sum(found["confusion"]) == 20


def test_a_label_with_one_image_is_left_out_and_one_label_gives_none() -> None:
    assert examples_of([*TWO, "one"]).labels == ["apple", "banana"]
    judged = judged_images(["apple"] * 5)
    assert choose_examples(judged, judged.features[:, :2].astype(np.float64)) is None

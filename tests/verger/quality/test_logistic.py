"""The logistic regression is scikit-learn's."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression as TheirRegression
from verger.quality.logistic import fit_logistic

from tests.verger.quality.judged_run import features_of


@pytest.mark.parametrize("labels", [2, 3, 12])
@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_the_probabilities_are_scikit_learns(labels: int, penalty: float) -> None:
    names = [f"l{at % labels:02}" for at in range(150)]
    features = features_of(names, spread=4.0).astype(np.float64)
    codes = np.array([int(name[1:]) for name in names], np.int32)
    ours = fit_logistic(features, codes, labels, penalty).probabilities(features)
    centred = features - features.mean(axis=0)
    scaled = centred / np.sqrt(np.square(centred).mean())
    # Of two labels scikit-learn fits one vector, which the penalty meets half as hard as a pair of them.
    strength = 1 / penalty if labels > 2 else 2 / penalty
    theirs = TheirRegression(C=strength, tol=1e-8, max_iter=5000).fit(scaled, codes).predict_proba(scaled)
    assert np.abs(ours - theirs).max() < 0.02


def test_a_label_that_nothing_was_learnt_of_is_never_chosen() -> None:
    features = features_of(["a", "b"] * 20)
    found = fit_logistic(features, np.array([0, 2] * 20, np.int32), 3).probabilities(features)
    assert set(found.argmax(axis=1).tolist()) == {0, 2}


def test_equal_features_give_the_shares_of_the_labels() -> None:
    same = np.ones((8, 1280), np.float32)
    found = fit_logistic(same, np.array([0] * 6 + [1] * 2, np.int32), 2).probabilities(same)
    assert found[0] == pytest.approx([0.75, 0.25], abs=0.01)

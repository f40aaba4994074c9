"""The baseline classifier of a run: which label a picture has, by its features, and how often that is right."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from verger_rules.accuracy import accuracies
from verger_rules.split import TEST, TRAINING

from verger.quality.folds import FOLDS, Codes, Int64s, cut_chains, cut_into_folds, draw_evenly
from verger.quality.judged_images import Features, JudgedImages
from verger.quality.logistic import LogisticRegression, Matrix, fit_logistic

#: Images times labels that are learnt from: a fit of 1,280 features takes a second or two.
_MOST_WORK = 250_000
_FEWEST_IMAGES = 500
#: With more labels a confusion matrix says nothing, and a fit takes minutes.
MOST_LABELS = 500
_MOST_CONFUSED = 20
_MOST_PATHS = 6
#: Labels that the confusion matrix shows: those with the most errors.
_MOST_SHOWN = 30
#: An image is suspected of a wrong label when another one is likelier than not and its own all but ruled out. Measured
#: with 20 wrong labels among 400 hard drawn pictures (tests/tools/test_quality_of_photographs.py): that finds 17 to 20
#: of them and two thirds of its finds are right; the explorer's rule of neighbours 14 to 16, and over half are.
#: With 0.2 for the own label it finds no more, and three fifths are right.
_LIKELY, _UNLIKELY = 0.5, 0.1
_MOST_SUSPECTS = 100

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Examples:
    """The images that the classifier learns from and is judged by.

    Attributes:
        labels: the names, each with two images at least.
        codes: [n], into `labels`.
        features: [n, 1280].
        components: [n, k].
        paths: of the images.
        groups: equal for near-duplicates, which stay in one fold.
        cut_groups: groups that were cut, see `folds.cut_chains`.
        parts: see `verger_rules.split`.
    """

    labels: list[str]
    codes: Codes
    features: Features
    components: Matrix
    paths: list[str]
    groups: Int64s
    cut_groups: int
    parts: npt.NDArray[np.str_]

    @property
    def training(self) -> Bools:
        """Which of them are learnt from where Test is judged by Training."""
        found: Bools = self.parts == TRAINING
        return found

    @property
    def split(self) -> bool:
        """Whether Test is judged by Training."""
        return bool((self.parts == TEST).any()) and len(np.unique(self.codes[self.training])) > 1


def choose_examples(judged: JudgedImages, components: Matrix) -> Examples | None:
    """The images of the labels that have two or more; None without two such labels, or with too many."""
    encoded = judged.images["label"].combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int64)
    counts = np.bincount(codes)
    kept = np.flatnonzero(counts[codes] > 1)
    names = sorted(name for name, count in zip(encoded.dictionary.to_pylist(), counts, strict=True) if count > 1)
    if not 2 <= len(names) <= MOST_LABELS:  # noqa: PLR2004 -- one label is nothing to tell apart
        return None
    number = {name: at for at, name in enumerate(names)}
    labels = judged.images["label"].take(kept).to_pylist()
    named = np.array([number[label] for label in labels], np.int32)
    drawn = draw_evenly(named, max(_FEWEST_IMAGES, _MOST_WORK // len(names)))
    kept = kept[drawn]
    near = pc.coalesce(judged.images["near_group"], pa.array(np.arange(len(judged)))).to_numpy()
    kept_together, cut = cut_chains(named[drawn], near[kept])
    return Examples(
        labels=names,
        codes=named[drawn],
        features=judged.features[kept],
        components=components[kept],
        paths=judged.images["path"].take(kept).to_pylist(),
        groups=kept_together,
        cut_groups=cut,
        parts=judged.parts[kept],
    )


@dataclass(frozen=True)
class Verdicts:
    """What a classifier took images for that it had not learnt from.

    Attributes:
        numbers: of the images, [m].
        probabilities: of each label, [m, labels].
    """

    numbers: Int64s
    probabilities: Matrix

    @property
    def taken_for(self) -> Codes:
        """The numbers of their likeliest labels, [m]."""
        found: Codes = self.probabilities.argmax(axis=1).astype(np.int32)
        return found


def judge_by(vectors: npt.NDArray[np.floating], examples: Examples) -> Verdicts:
    """Test by what was learnt from Training, where there is such a split; else all of them by cross-validation."""
    if examples.split:
        return _taken_for(vectors, examples, examples.training, examples.parts == TEST)
    return cross_validate(vectors, examples)


def cross_validate(vectors: npt.NDArray[np.floating], examples: Examples) -> Verdicts:
    """All images, each by what was learnt from the folds that it is not in."""
    folds = cut_into_folds(examples.codes, examples.groups)
    found = [_taken_for(vectors, examples, folds != fold, folds == fold) for fold in np.unique(folds)]
    numbers = np.concatenate([one.numbers for one in found])
    order = np.argsort(numbers)
    return Verdicts(numbers[order], np.concatenate([one.probabilities for one in found])[order])


def _taken_for(vectors: npt.NDArray[np.floating], examples: Examples, learnt: Bools, judged: Bools) -> Verdicts:
    model = fit_logistic(vectors[learnt], examples.codes[learnt], len(examples.labels))
    # A label of which nothing was learnt has the coefficients that the penalty leaves it: it is not chosen.
    return Verdicts(np.flatnonzero(judged), model.probabilities(vectors[judged]))


def describe_classifier(examples: Examples) -> dict[str, Any]:
    """`classifier` of `quality.json` (docs/formats.md)."""
    by_components, by_features = judge_by(examples.components, examples), judge_by(examples.features, examples)
    # Of a split Test alone is judged; labels may be wrong in Training as well.
    all_by_features = cross_validate(examples.features, examples) if examples.split else by_features
    return {
        "images": len(examples.codes),
        "tested_on": TEST if examples.split else "cross-validation",
        "folds": None if examples.split else FOLDS,
        "grouped": len(np.unique(examples.groups)) < len(examples.groups),
        "cut_groups": examples.cut_groups,
        "components": {"k": examples.components.shape[1], **_accuracies(by_components, examples)},
        "features": _accuracies(by_features, examples),
        **describe_confusion(by_features, examples),
        "suspects": find_suspects(all_by_features, examples),
    }


def _accuracies(found: Verdicts, examples: Examples) -> dict[str, Mapping[str, float]]:
    own = examples.codes[found.numbers]
    return accuracies(found.taken_for == own, own)


def describe_confusion(found: Verdicts, examples: Examples) -> dict[str, Any]:
    """What was taken for what: the matrix of the labels with the most errors, and the most confused pairs."""
    own, taken = examples.codes[found.numbers], found.taken_for
    wrong = own != taken
    errors = np.bincount(own[wrong], minlength=len(examples.labels)) + np.bincount(
        taken[wrong], minlength=len(examples.labels)
    )
    shown = np.sort(np.argsort(-errors, kind="stable")[:_MOST_SHOWN])
    counts = np.zeros((len(examples.labels),) * 2, np.int64)
    np.add.at(counts, (own, taken), 1)
    pairs = counts - np.diag(np.diag(counts))
    worst = [
        divmod(int(at), len(examples.labels)) for at in np.argsort(-pairs, axis=None, kind="stable")[:_MOST_CONFUSED]
    ]
    return {
        "labels": examples.labels,
        "confusion_labels": [examples.labels[at] for at in shown],
        "confusion": counts[np.ix_(shown, shown)].tolist(),
        "confused": [
            {
                "label": examples.labels[label],
                "taken_for": examples.labels[other],
                "images": int(pairs[label, other]),
                "paths": [
                    examples.paths[at] for at in found.numbers[(own == label) & (taken == other)][:_MOST_PATHS].tolist()
                ],
            }
            for label, other in worst
            if pairs[label, other]
        ],
    }


def find_suspects(found: Verdicts, examples: Examples) -> list[dict[str, Any]]:
    """The images whose own label is all but ruled out, the surest first: their labels may be wrong."""
    own = examples.codes[found.numbers]
    taken = found.taken_for
    rows = np.arange(len(own))
    of_own, of_taken = found.probabilities[rows, own], found.probabilities[rows, taken]
    suspected = np.flatnonzero((taken != own) & (of_taken > _LIKELY) & (of_own < _UNLIKELY))
    surest = suspected[np.argsort(-of_taken[suspected], kind="stable")[:_MOST_SUSPECTS]]
    return [
        {
            "path": examples.paths[found.numbers[at]],
            "label": examples.labels[own[at]],
            "taken_for": examples.labels[taken[at]],
            "probability": round(float(of_taken[at]), 4),
        }
        for at in surest.tolist()
    ]


def fit_all(examples: Examples) -> LogisticRegression:
    """The classifier that is saved: learnt from all images."""
    return fit_logistic(examples.features, examples.codes, len(examples.labels))

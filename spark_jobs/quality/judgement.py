"""How good the matrix is: the accuracy of the nearest image's label, for each number of components."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from verger_rules.accuracy import Bools, Codes, accuracies, share_of
from verger_rules.model import FEATURES
from verger_rules.split import TEST, TRAINING, parts_of
from verger_rules.unit_vectors import Vectors

from spark_jobs.pca.moments import Matrix
from spark_jobs.pca.pca_model import PcaModel
from spark_jobs.quality.near_duplicates import NEAR, NearDuplicates, find_near_duplicates, largest_cosines
from spark_jobs.quality.nearest import nearest_by_k
from spark_jobs.quality.sample import Sample

#: Numbers of components that are judged, as far as there are so many.
KS = (2, 5, 10, 20, 50, 100, 200, 500)

Judged = dict[str, Any]


@dataclass(frozen=True)
class Judgement:
    """What was found about the images of a sample.

    Attributes:
        report: for `runs/<slug>/quality.json` (docs/formats.md).
        images: columns path, label, part, near_group (null without near-duplicates), similarity and features.
    """

    report: Judged
    images: pa.Table


def judge(
    model: PcaModel, sample: Sample, vectors: Vectors, ks: Sequence[int], test_folder: str, *, near: bool
) -> Judgement:
    """Judge a model on a sample of the images that it is for.

    Args:
        model: with all its components.
        sample: the images.
        vectors: their features, float32 [n, 1280].
        ks: numbers of components to look at beside KS.
        test_folder: see `verger_rules.split`.
        near: whether near-duplicates are looked for: with random weights all images are.
    """
    labels = sample.images["label"].combine_chunks().dictionary_encode()
    codes = labels.indices.to_numpy().astype(np.int32)
    parts = parts_of(sample.images["path"].to_pylist(), test_folder)
    found = find_near_duplicates(vectors) if near else None
    spaces = _Spaces.of(model, vectors, ks)
    report: Judged = {"labels": len(labels.dictionary), "near_bound": NEAR if near else None}
    report |= _leave_one_out(spaces, codes, found)
    report["split"] = _judge_split(spaces, codes, parts, vectors, near=near) if TEST in parts else None
    return Judgement(report, _described(sample, vectors, parts, found))


@dataclass(frozen=True)
class _Spaces:
    """Some images in the spaces in which their neighbours are looked for.

    Attributes:
        scores: of all components, [n, k].
        features: less their mean, [n, 1280]; None where they are the scores, only turned.
        ks: numbers of components, ascending.
        variance: the share that the first k hold, for each of `ks`.
    """

    scores: Matrix
    features: Matrix | None
    ks: tuple[int, ...]
    variance: tuple[float, ...]

    @classmethod
    def of(cls, model: PcaModel, vectors: Vectors, more: Sequence[int]) -> "_Spaces":
        ks = tuple(sorted({k for k in (*KS, *more) if k <= model.k}))
        shares = np.cumsum(model.explained_variance_ratio)
        turned = model.k == FEATURES and not model.standardize
        features = None if turned else vectors.astype(np.float64) - model.mean
        return cls(model.project(vectors), features, ks, tuple(float(shares[k - 1]) for k in ks))

    def nearest(self, queries: Bools, references: Bools) -> npt.NDArray[np.int64]:
        """For each of `ks`, and last for all features, which of all images is the nearest one, [len(ks) + 1, queries].

        The same images are looked for among themselves, without themselves.
        """
        same = bool((queries == references).all())
        numbers = np.flatnonzero(references)
        ks = self.ks if self.features is not None else (*self.ks, self.scores.shape[1])
        found = nearest_by_k(self.scores[queries], self.scores[references], ks, same=same)
        if self.features is not None:
            of_features = nearest_by_k(self.features[queries], self.features[references], (FEATURES,), same=same)
            found = np.concatenate([found, of_features])
        return numbers[found]

    def described(self, judged: Sequence[Judged]) -> Judged:
        """What was judged for each of `ks`, and last for all features."""
        by_k = [
            {"k": k, "variance": round(share, 6), **one}
            for k, share, one in zip(self.ks, self.variance, judged[:-1], strict=True)
        ]
        return {"by_k": by_k, "features": {"k": FEATURES, "variance": 1.0, **judged[-1]}}


def _leave_one_out(spaces: _Spaces, codes: Codes, found: NearDuplicates | None) -> Judged:
    """Each image judged by all others; one whose label no other has cannot be, and is left out."""
    judged = np.bincount(codes)[codes] > 1
    if not judged.any() or len(np.unique(codes)) < 2:  # noqa: PLR2004 -- nothing to be told apart
        return {"judged": 0, "by_k": [], "features": None}
    everyone = np.ones(len(codes), bool)
    right = codes[spaces.nearest(everyone, everyone)] == codes
    alone = judged & (found.similarity < NEAR) if found else None
    told = [{**accuracies(row[judged], codes[judged]), **_without_duplicates(row, judged, alone)} for row in right]
    return {"judged": int(judged.sum()), **spaces.described(told)}


def _judge_split(spaces: _Spaces, codes: Codes, parts: npt.NDArray[np.str_], vectors: Vectors, *, near: bool) -> Judged:
    """The images of Test judged by those of Training."""
    test, training = parts == TEST, parts == TRAINING
    of_test = codes[test]
    right = codes[spaces.nearest(test, training)] == of_test
    alone = largest_cosines(vectors[test], vectors[training]) < NEAR if near else None
    everyone = np.ones(len(of_test), bool)
    told = [{**accuracies(row, of_test), **_without_duplicates(row, everyone, alone)} for row in right]
    return {
        "training": int(training.sum()),
        "test": int(test.sum()),
        "near_duplicates": None if alone is None else int((~alone).sum()),
        "labels_without_training": len(set(of_test.tolist()) - set(codes[training].tolist())),
        **spaces.described(told),
    }


def _without_duplicates(right: Bools, judged: Bools, alone: Bools | None) -> dict[str, Mapping[str, float] | None]:
    """The accuracy of those judged that have no near-duplicate among the images that judge them."""
    counted = judged & alone if alone is not None else np.zeros(0, bool)
    if not counted.any():
        return {"without_duplicates": None}
    return {"without_duplicates": share_of(int(right[counted].sum()), int(counted.sum())).as_json()}


def _described(sample: Sample, vectors: Vectors, parts: npt.NDArray[np.str_], found: NearDuplicates | None) -> pa.Table:
    count = len(sample)
    if found is None:
        groups, similarity = pa.nulls(count, pa.int64()), pa.nulls(count, pa.float32())
    else:
        sizes = np.bincount(found.group, minlength=count)
        groups = pa.array(found.group, mask=sizes[found.group] < 2)  # noqa: PLR2004 -- one alone is no group
        similarity = pa.array(found.similarity)
    features = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), FEATURES)
    return pa.table(
        {
            "path": sample.images["path"],
            "label": sample.images["label"],
            "part": pa.array(parts.tolist(), pa.string()),
            "near_group": groups,
            "similarity": similarity,
            "features": features,
        }
    )

"""Fitting a PCA from moments, choosing how much of it to keep, and applying it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from spark_jobs.job_errors import RefusedError
from spark_jobs.pca.moments import Matrix, Moments

FEWEST_IMAGES = 2
# Shares of variance are sums of rounded numbers: a request for all of it must not miss by the last bit.
SHARE_TOLERANCE = 1e-12
# How far apart two processors may compute a feature, as a share of the picture's largest one (docs/processors.md).
PROCESSOR_NOISE = 1e-5


@dataclass(frozen=True)
class PcaModel:
    """A fitted PCA, all components or the first k.

    Attributes:
        n: images it was fitted on.
        mean, scale: [d]; an image's scores are ((features - mean) / scale) @ components.T.
        components: [k, d], orthonormal rows, the largest variance first.
        explained_variance: [k], of the scores, with n - 1 in the denominator.
        explained_variance_ratio: [k], shares of the total; zeros when nothing varies.
        standardize: whether each feature was scaled to variance 1.
    """

    n: int
    mean: Matrix
    scale: Matrix
    components: Matrix
    explained_variance: Matrix
    explained_variance_ratio: Matrix
    standardize: bool

    @property
    def k(self) -> int:
        """How many components there are."""
        return len(self.components)

    def cut(self, k: int) -> "PcaModel":
        """The same model with its first k components."""
        return replace(
            self,
            components=self.components[:k],
            explained_variance=self.explained_variance[:k],
            explained_variance_ratio=self.explained_variance_ratio[:k],
        )

    def project(self, vectors: npt.NDArray[np.float32]) -> Matrix:
        """The scores of [n, d] features: [n, k], float64."""
        scores: Matrix = ((vectors.astype(np.float64) - self.mean) / self.scale) @ self.components.T
        return scores


def check_k(k: int | None, images: int, features: int) -> None:
    """Refuse what cannot be fitted, before anything is computed.

    As many components as images are allowed, as scikit-learn does; the last one then explains nothing.

    Raises:
        RefusedError: fewer than two images, or k above the number of images or of features.
    """
    if images < FEWEST_IMAGES:
        raise RefusedError(f"A PCA needs the features of at least {FEWEST_IMAGES} images, there are {images}")
    if k is not None and k > min(images, features):
        raise RefusedError(
            f"--k {k} is more than the data has: {images} images with features, {features} features each; "
            f"ask for at most {min(images, features)}"
        )


def fit(moments: Moments, *, standardize: bool) -> PcaModel:
    """All components, min(n, d) of them, from eigenvectors of the covariance matrix.

    The sign of each component is set so that its largest loading is positive: the same input gives the same model.
    A feature that varies no more than two processors may differ counts as constant: scaled to variance 1, the
    difference between the nodes of one cluster would become a component.

    Raises:
        RefusedError: fewer than two images.
    """
    check_k(None, moments.n, len(moments.mean))
    scale = np.ones_like(moments.mean)
    if standardize:
        deviation = np.sqrt(np.diag(moments.scatter) / moments.n)
        scale = np.where(deviation > processor_deviation(moments.mean), deviation, 1.0)
    covariance = moments.scatter / (moments.n - 1) / np.outer(scale, scale)
    variances, vectors = np.linalg.eigh(covariance)
    kept = min(moments.n, len(moments.mean))
    variances = np.clip(variances[::-1][:kept], 0.0, None)
    components = fix_signs(vectors.T[::-1][:kept])
    total = float(np.trace(covariance))
    shares = variances / total if total > 0 else np.zeros_like(variances)
    return PcaModel(moments.n, moments.mean, scale, components, variances, shares, standardize)


def fix_signs(components: Matrix) -> Matrix:
    """Turn each row so that its entry of the largest absolute value is positive."""
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.ascontiguousarray(components * np.where(signs == 0, 1.0, signs)[:, None])


def varying_components(model: PcaModel) -> int:
    """How many of a model's components hold any variance: the rest is rounding, or what two processors differ by.

    The rank of centred rows: n different images have n - 1 at most.
    """
    # The variance that processors alone may give each feature, where half of the images come from either of two.
    noise = (processor_deviation(model.mean) / model.scale) ** 2
    if model.explained_variance.sum() <= noise.sum():
        return 0
    rounding = np.finfo(np.float64).eps * len(model.mean) * model.explained_variance.max(initial=0.0)
    return int(np.count_nonzero(model.explained_variance > max(rounding, noise.mean())))


def processor_deviation(mean: Matrix) -> float:
    """The deviation of a feature when two processors computed it for half of the same images each."""
    return float(PROCESSOR_NOISE / 2 * np.abs(mean).max())


def choose_k(model: PcaModel, k: int | None, variance: float | None) -> int:
    """How many components to keep: k, or the fewest that reach a share of the variance.

    When none do, all of them; when nothing varies, one.

    Raises:
        RefusedError: k is more than the model has.
    """
    if variance is not None:
        reached = np.cumsum(model.explained_variance_ratio) >= variance - SHARE_TOLERANCE
        if not reached.any():
            return model.k if model.explained_variance_ratio.any() else 1
        return int(np.argmax(reached)) + 1
    if k is None:
        return model.k
    if k > model.k:
        raise RefusedError(f"--k {k} is more than the {model.k} components of the model")
    return k

"""Storing a fitted PCA, and loading one to project new images onto its axes."""

import hashlib
import io
import json
import zipfile

import numpy as np
from verger_rules.addresses import S3Address
from verger_rules.model import FEATURES

from spark_jobs.job_errors import RefusedError
from spark_jobs.pca.pca_model import PcaModel
from spark_jobs.store.object_store import StoreSettings, read_bytes, read_json, write_bytes, write_json

ARRAYS = ("mean", "scale", "components", "explained_variance", "explained_variance_ratio")


def save_model(settings: StoreSettings, folder: S3Address, model: PcaModel, fingerprint: str) -> None:
    """Write `model.npz`, then `model.json`, which vouches for it. The same model gives the same bytes."""
    content = to_npz(model)
    write_bytes(settings, folder.child("model.npz"), content)
    description = {
        "k": model.k,
        "n": model.n,
        "model_fingerprint": fingerprint,
        "standardize": model.standardize,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    write_json(settings, folder.child("model.json"), description)


def load_model(settings: StoreSettings, folder: S3Address, fingerprint: str) -> PcaModel:
    """Read a stored model.

    Raises:
        RefusedError: it is not there, is damaged, or was fitted on features of another image model.
    """
    description = read_json(settings, folder.child("model.json"))
    if missing := sorted({"k", "n", "model_fingerprint", "standardize", "sha256"} - description.keys()):
        raise RefusedError(f"{folder.uri}/model.json lacks {', '.join(missing)}: it is no model of this job")
    if description["model_fingerprint"] != fingerprint:
        raise RefusedError(
            f"{folder.uri} was fitted on features of the model {description['model_fingerprint']}, these are of "
            f"{fingerprint}: fit anew (leave --fitted-model-uri out) or featurize with the other model"
        )
    content = read_bytes(settings, folder.child("model.npz"))
    if hashlib.sha256(content).hexdigest() != description["sha256"]:
        raise RefusedError(f"{folder.uri}/model.npz is not the file that its model.json describes")
    return from_npz(content, int(description["n"]), standardize=bool(description["standardize"]), name=folder.uri)


def to_npz(model: PcaModel) -> bytes:
    """The arrays of a model, float64, as numpy's archive."""
    stored = io.BytesIO()
    np.savez(stored, **{name: getattr(model, name) for name in ARRAYS})
    return stored.getvalue()


def from_npz(content: bytes, n: int, *, standardize: bool, name: str) -> PcaModel:
    """The model of an archive.

    Raises:
        RefusedError: it is damaged, or its arrays do not fit together.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {array: np.asarray(archive[array], np.float64) for array in ARRAYS}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise RefusedError(f"{name} holds no PCA model: {error}") from error
    k = len(arrays["components"])
    shapes = {array: arrays[array].shape for array in ARRAYS}
    expected = dict(zip(ARRAYS, ((FEATURES,), (FEATURES,), (k, FEATURES), (k,), (k,)), strict=True))
    if shapes != expected or not all(np.isfinite(array).all() for array in arrays.values()):
        raise RefusedError(f"{name} holds arrays of shapes {json.dumps(shapes)} or values that are not finite")
    return PcaModel(n=n, standardize=standardize, **arrays)

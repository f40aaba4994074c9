"""Where the weights come from: a file, Keras' cache, Keras' download, or a seeded generator."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from tools.model.identity import sha256_of_file
from tools.model.refusal import RefusedError

Layout = Literal["keras3", "legacy"]
Source = Literal["file", "imagenet", "random"]
Shapes = list[tuple[int, ...]]

# Keras' own name for the file that `weights="imagenet"` downloads (keras/src/applications/mobilenet_v2.py).
CACHED_NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
RANDOM_SEED = 20260101
_EXPECTED = "the weights of Keras' MobileNetV2 (alpha 1.0, 224 x 224, include_top=False)"
_DOWNLOAD = (
    "import keras; keras.applications.MobileNetV2("
    "input_shape=(224, 224, 3), alpha=1.0, include_top=False, weights='imagenet')"
)


@dataclasses.dataclass(frozen=True)
class Weights:
    """A weights file, where it came from, and the SHA-256 that the fingerprint is made of."""

    source: Source
    path: Path
    sha256: str


def from_file(path: Path) -> Weights:
    """The weights file that the user named.

    Raises:
        RefusedError: it is not there, or not HDF5.
    """
    layout_of(path)
    return Weights("file", path, sha256_of_file(path))


def from_keras(keras_home: Path, download_seconds: float) -> Weights | None:
    """The ImageNet weights from Keras' cache, else by Keras' download; None when there are none to be had."""
    cached = keras_home / "models" / CACHED_NAME
    if not cached.is_file() and download_seconds > 0:
        _download(cached, download_seconds)
    if not cached.is_file():
        return None
    try:
        layout_of(cached)
    except RefusedError:
        return None
    return Weights("imagenet", cached, sha256_of_file(cached))


def _download(cached: Path, seconds: float) -> None:
    """Lets Keras download into a folder of its own, so that a transfer cut short never stays in the cache."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "KERAS_HOME": home, "TF_CPP_MIN_LOG_LEVEL": "3"}
        try:
            subprocess.run(
                [sys.executable, "-c", _DOWNLOAD],
                env=environment,
                timeout=seconds,
                capture_output=True,
                check=True,
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            return
        downloaded = Path(home) / "models" / CACHED_NAME
        if downloaded.is_file():
            cached.parent.mkdir(parents=True, exist_ok=True)
            partial = cached.with_name(f"{cached.name}.{os.getpid()}")
            shutil.copyfile(downloaded, partial)
            partial.replace(cached)


def layout_of(path: Path) -> Layout:
    """Which of Keras' two HDF5 layouts a file has: `.weights.h5` of Keras 3, or the older one of the published weights.

    Raises:
        RefusedError: it has neither.
    """
    if not path.is_file():
        raise RefusedError(f"{path} is not there: name the .h5 file with {_EXPECTED}")
    if not h5py.is_hdf5(path):
        raise RefusedError(f"{path} is not an HDF5 file ({path.stat().st_size} bytes): expected {_EXPECTED}")
    try:
        with h5py.File(path, "r") as file:
            if "layer_names" in file.attrs or "model_weights" in file:
                return "legacy"
            if "layers" in file:
                return "keras3"
            raise RefusedError(f"{path} holds {', '.join(file) or 'nothing'}: expected {_EXPECTED}")
    except OSError as error:
        raise RefusedError(f"{path} is damaged ({error}): expected {_EXPECTED}") from error


def load(model: Any, weights: Weights) -> None:  # noqa: ANN401  # Keras ships no types
    """Loads a file into the model, once its shapes are known to fit.

    Raises:
        RefusedError: the arrays are of other shapes, or hold values that are not finite.
    """
    layout = layout_of(weights.path)
    expected = [tuple(array.shape) for array in model.weights]
    _check(weights.path, expected, _shapes(weights.path, layout))
    with tempfile.TemporaryDirectory() as folder:
        # Keras tells the layouts apart by the name alone.
        link = Path(folder) / ("model.weights.h5" if layout == "keras3" else "model.h5")
        link.symlink_to(weights.path.resolve())
        try:
            model.load_weights(link)
        except (ValueError, KeyError, OSError) as error:
            raise RefusedError(f"{weights.path} does not fit: expected {_EXPECTED}; {_first_line(error)}") from error
    if not all(np.isfinite(array).all() for array in model.get_weights()):
        raise RefusedError(f"{weights.path} holds values that are not finite: get the file again")


def _check(path: Path, expected: Shapes, found: Shapes) -> None:
    if sorted(found) == sorted(expected):
        return
    raise RefusedError(
        f"{path} holds other weights: expected {_EXPECTED}, {_summary(expected)}; found {_summary(found)}"
    )


def _summary(shapes: Shapes) -> str:
    numbers = sum(int(np.prod(shape)) for shape in shapes)
    kernels = [shape for shape in shapes if len(shape) > 1]
    largest = max(kernels, key=np.prod, default=())
    return f"{len(shapes)} arrays of {numbers:,} numbers (the largest {' x '.join(map(str, largest)) or 'empty'})"


def _shapes(path: Path, layout: Layout) -> Shapes:
    """The shapes of every array of the model in a file; optimizer state and metadata are not the model's."""
    found: Shapes = []

    def visit(_name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(tuple(item.shape))

    with h5py.File(path, "r") as file:
        root = file["layers"] if layout == "keras3" else file.get("model_weights", file)
        root.visititems(visit)
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def save_random(model: Any, folder: Path, seed: int = RANDOM_SEED) -> Weights:  # noqa: ANN401  # Keras ships no types
    """Gives the model seeded random weights and writes them to a file, the same bytes on every machine.

    Uniform in +-sqrt(3 * gain / fan_in), so that pictures keep their spread from layer to layer: gain 2 behind a
    ReLU (He et al. 2015, arXiv:1502.01852), 1 behind a linear bottleneck. The numbers are numpy's raw generator scaled
    by one multiplication: unlike the normal draws of Keras' initialisers, nothing in it differs between processors.
    """
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        kernels = [array for array in layer.weights if len(array.shape) == 4]  # noqa: PLR2004  # a convolution's
        for kernel in kernels:
            kernel.assign(_uniform(rng, tuple(kernel.shape), layer.name))
    path = folder / "random.weights.h5"
    model.save_weights(path)
    return Weights("random", path, sha256_of_file(path))


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], layer: str) -> Any:  # noqa: ANN401  # an array
    depthwise = layer.endswith("depthwise")
    fan_in = shape[0] * shape[1] * (1 if depthwise else shape[2])
    gain = 1.0 if layer.endswith("expand") or layer in {"Conv1", "Conv_1"} else 2.0
    limit = np.float32(np.sqrt(3.0 * gain / fan_in))
    return (rng.random(shape, dtype=np.float32) * np.float32(2) - np.float32(1)) * limit

"""`tools/prepare_model.py`, run as a program."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import obstore
import pytest

from tests.tools.model_program import Prepared, prepare, prepared, run_model_python
from tools.draw_images import Drawing, write_images
from tools.model import agreement, pictures, publishing

if TYPE_CHECKING:
    from pathlib import Path

# Keras' own name for the file that `weights="imagenet"` downloads.
CACHED_NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
# Keras can no longer write the layout of its published weights, but its own code that reads it still can.
LEGACY = """
import sys, h5py, keras
from keras.src.legacy.saving import legacy_h5_format
model = keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights=None)
model.load_weights(sys.argv[1])
with h5py.File(sys.argv[2], "w") as file:
    legacy_h5_format.save_weights_to_hdf5_group(file, model)
"""
WITH_TOP = """
import sys, h5py, numpy
with h5py.File(sys.argv[1]) as source, h5py.File(sys.argv[2], "w") as target:
    source.copy("layers", target)
    target["layers/dense/vars/0"] = numpy.zeros((1280, 1000), numpy.float32)
    target["layers/dense/vars/1"] = numpy.zeros(1000, numpy.float32)
"""


def test_the_last_line_of_stdout_is_all_there_is(random_model: Prepared) -> None:
    assert json.loads(random_model.run.stdout) == {
        "fingerprint": random_model.fingerprint,
        "weights": "random",
        "dir": str(random_model.folder),
    }


def test_random_weights_are_loud(random_model: Prepared) -> None:
    assert "WARNING: RANDOM WEIGHTS" in random_model.run.stderr
    assert random_model.description()["weights"] == "random"


def test_tensorflow_keeps_quiet(random_model: Prepared) -> None:
    assert all(line.startswith("verger: ") for line in random_model.run.stderr.splitlines())


def test_the_description_says_what_the_files_are(random_model: Prepared) -> None:
    description = random_model.description()
    for name in ("model.tflite", "weights.h5"):
        data = (random_model.folder / name).read_bytes()
        assert description["files"][name] == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert (description["format"], description["input_size"], description["features"]) == (1, 224, 1280)
    assert description["precision"] == "float32"
    assert 0 <= description["max_difference_from_keras"] <= 1e-4
    assert description["checked_on"] >= 16
    assert set(description["versions"]) == {"tensorflow", "keras", "ai-edge-litert"}


def test_the_fingerprint_can_be_computed_from_the_weights_file_alone(random_model: Prepared) -> None:
    weights = hashlib.sha256((random_model.folder / "weights.h5").read_bytes()).hexdigest()
    text = f"verger-model-1\nmobilenet_v2_1.0\n224\nfloat32\n{weights}"
    assert random_model.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:16] == random_model.folder.name


def test_random_weights_tell_pictures_apart(random_model: Prepared) -> None:
    features = agreement.litert_features(random_model.flatbuffer, pictures.drawn(12))
    assert features.shape == (12, 1280)
    centred = features - features.mean(axis=0)
    assert (centred.std(axis=0) > 1e-3).mean() > 0.9
    assert np.linalg.matrix_rank(centred) == 11


def test_random_weights_are_the_same_twice_and_mend_a_half_published_model(
    random_model: Prepared, tmp_path: Path
) -> None:
    half = tmp_path / random_model.fingerprint
    half.mkdir()
    (half / "model.tflite").write_bytes(b"cut sho")
    again = prepared(prepare("--random", "--make-default", "--output-dir", tmp_path))
    assert again.folder == half
    assert {path.name for path in half.iterdir()} == {"model.tflite", "weights.h5", "model.json"}
    assert again.flatbuffer == random_model.flatbuffer
    assert (half / "weights.h5").read_bytes() == (random_model.folder / "weights.h5").read_bytes()
    assert json.loads((tmp_path / "default.json").read_bytes()) == {"fingerprint": random_model.fingerprint}


def test_keras_cache_is_used_and_its_older_layout_gives_the_same_features(
    random_model: Prepared, tmp_path: Path
) -> None:
    cached = tmp_path / "keras" / "models" / CACHED_NAME
    cached.parent.mkdir(parents=True)
    # Under a name that tells Keras the layout.
    source = shutil.copyfile(random_model.folder / "weights.h5", tmp_path / "model.weights.h5")
    assert run_model_python("-c", LEGACY, source, cached).code == 0
    environment = {"KERAS_HOME": str(tmp_path / "keras")}
    found = prepared(prepare("--output-dir", tmp_path / "models", environment=environment))
    assert found.description()["weights"] == "imagenet"
    assert found.description()["weights_sha256"] == hashlib.sha256(cached.read_bytes()).hexdigest()
    assert found.fingerprint != random_model.fingerprint
    some = pictures.drawn(2)
    expected = agreement.litert_features(random_model.flatbuffer, some)
    assert np.abs(agreement.litert_features(found.flatbuffer, some) - expected).max() <= 1e-5


def test_weights_of_another_model_are_refused_before_conversion(random_model: Prepared, tmp_path: Path) -> None:
    file = tmp_path / "with top.weights.h5"
    assert run_model_python("-c", WITH_TOP, random_model.folder / "weights.h5", file).code == 0
    run = prepare("--weights", file, "--output-dir", tmp_path / "models")
    assert run.code == 2
    assert run.stdout == ""
    assert run.stderr == (
        f"verger: error: {file} holds other weights: expected the weights of Keras' MobileNetV2 (alpha 1.0, 224 x 224, "
        "include_top=False), 260 arrays of 2,257,984 numbers (the largest 1 x 1 x 320 x 1280); found 262 arrays of "
        "3,538,984 numbers (the largest 1280 x 1000)\n"
    )
    assert not any((tmp_path / "models").iterdir())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "is not there"), (b"", "is not an HDF5 file (0 bytes)"), (b"no weights\n" * 9, "is not an HDF5 file (99 ")],
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "weights.h5"
    if content is not None:
        file.write_bytes(content)
    run = prepare("--weights", file, "--output-dir", tmp_path / "models")
    assert run.code == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"verger: error: {file} {complaint}")


def test_a_model_is_published_to_s3_once_and_mended_when_a_file_is_damaged(
    random_model: Prepared, aws: str, bucket: str
) -> None:
    del aws  # the environment of the program
    target = f"s3://{bucket}/models"
    weights = random_model.folder / "weights.h5"
    both = ("--weights", weights, "--output-dir", random_model.folder.parent, "--models-uri", target)
    first = prepare(*both, "--make-default")
    assert first.result() == {
        "fingerprint": random_model.fingerprint,
        "weights": "random",
        "dir": str(random_model.folder),
        "uri": f"{target}/{random_model.fingerprint}",
    }
    store = publishing.store_of(target)
    kept = obstore.head(store, f"{random_model.fingerprint}/model.json")["last_modified"]
    assert "is there already" in prepare("--weights", weights, "--models-uri", target).stderr
    assert obstore.head(store, f"{random_model.fingerprint}/model.json")["last_modified"] == kept

    obstore.put(store, f"{random_model.fingerprint}/model.tflite", b"damaged")
    assert publishing.published(store, random_model.fingerprint) is None
    assert prepare(*both).code == 0
    files = publishing.published(store, random_model.fingerprint)
    assert files is not None
    assert files["model.tflite"] == random_model.flatbuffer
    assert json.loads(bytes(obstore.get(store, "default.json").bytes())) == {"fingerprint": random_model.fingerprint}


def test_a_bucket_that_is_not_there_is_one_line(random_model: Prepared, aws: str) -> None:
    del aws  # the environment of the program
    places = ("--output-dir", random_model.folder.parent, "--models-uri", "s3://no-such-bucket-anywhere/models")
    run = prepare("--weights", random_model.folder / "weights.h5", *places)
    assert run.code == 2
    (line,) = [line for line in run.stderr.splitlines() if "error" in line]
    assert line.startswith("verger: error: ")
    assert "no-such-bucket-anywhere" in line


@pytest.fixture(scope="module")
def calibration_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibration")
    write_images(folder, Drawing(images=48, labels=12, broken=1), processes=1)
    return folder


@pytest.fixture(scope="module")
def int8_model(random_model: Prepared, calibration_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepared(
        prepare(
            *("--weights", random_model.folder / "weights.h5", "--precision", "int8"),
            *("--calibration-images", calibration_images, "--output-dir", tmp_path_factory.mktemp("int8")),
            *("--min-cosine", 0.5, "--min-neighbours-kept", 0),
        )
    )


def test_int8_says_what_it_costs(int8_model: Prepared) -> None:
    cost = int8_model.description()["cost"]
    assert cost["pictures"] == 24
    assert 0.5 <= cost["min_cosine"] <= cost["mean_cosine"] <= 1
    assert f"cosine to float32 at least {cost['min_cosine']:.3f}" in int8_model.run.stderr
    assert f"{cost['neighbours_kept']:.1%} of nearest neighbours kept" in int8_model.run.stderr


def test_int8_names_the_files_that_are_no_pictures(int8_model: Prepared) -> None:
    assert "broken 000 truncated.jpg" in int8_model.run.stderr


def test_int8_has_float32_ends_and_a_fingerprint_of_its_calibration(
    int8_model: Prepared, random_model: Prepared, calibration_images: Path
) -> None:
    sums = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in calibration_images.rglob("*[0-9x)].jpg"))
    digest = hashlib.sha256("\n".join(sums[::2]).encode()).hexdigest()
    description = int8_model.description()
    assert description["calibrated_on"] == {"pictures": 24, "sha256": digest}
    assert description["precision"] == f"int8-{digest[:16]}"
    text = f"verger-model-1\nmobilenet_v2_1.0\n224\nint8-{digest[:16]}\n{description['weights_sha256']}"
    assert int8_model.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert len(int8_model.flatbuffer) < len(random_model.flatbuffer) / 2
    features = agreement.litert_features(int8_model.flatbuffer, pictures.drawn(2))
    assert features.shape == (2, 1280)
    assert features.dtype == np.float32


def test_int8_below_the_bound_is_refused(random_model: Prepared, calibration_images: Path, tmp_path: Path) -> None:
    run = prepare(
        *("--weights", random_model.folder / "weights.h5", "--precision", "int8", "--min-cosine", 0.9999),
        *("--calibration-images", calibration_images, "--output-dir", tmp_path),
    )
    assert run.code == 2
    assert "verger: error: int8 costs too much on these pictures" in run.stderr
    assert not any(tmp_path.iterdir())


def test_int8_without_enough_pictures_is_refused(random_model: Prepared, tmp_path: Path) -> None:
    write_images(tmp_path / "few", Drawing(images=5), processes=1)
    int8 = ("--weights", random_model.folder / "weights.h5", "--precision", "int8", "--output-dir", tmp_path / "models")
    assert "needs --calibration-images" in prepare(*int8).stderr
    assert (
        "holds 5 different pictures: int8 needs at least 40"
        in prepare(*int8, "--calibration-images", tmp_path / "few").stderr
    )

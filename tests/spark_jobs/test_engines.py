"""The engines: equal to Keras, and to themselves in any batch."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from verger_rules.model import FEATURES

from spark_jobs.worker.decode import decode_image, prepare_pillow
from spark_jobs.worker.infer import open_engine
from tests.spark_jobs.job_world import PROJECT
from tools.local_run.emr_server import passed_variables

GOLDEN = Path(__file__).parent / "golden"
# Small pictures are decoded in full. Photographs are decoded at a fraction of their size (decode.DRAFT_SIZE): this is
# the distance their features then keep.
FULL_DECODE_DIFFERENCE = 1e-4
DRAFT_COSINE = 0.999

Features = npt.NDArray[np.float32]


def golden_pixels(name: str, digest: str, shared: Path) -> npt.NDArray[np.uint8]:
    path = GOLDEN / name if name.startswith("drawn/") else shared / name
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest, f"{name} is not the picture that Keras saw"
    return decode_image(content, 100_000_000).pixels


@pytest.mark.shared
def test_litert_gives_keras_golden_features(shared: Path, real_model_folder: Path) -> None:
    prepare_pillow()
    engine = open_engine("litert", (real_model_folder / "model.tflite").read_bytes(), 1)
    with np.load(GOLDEN / "golden.npz") as golden:
        for name, digest, expected in zip(golden["names"], golden["sha256"], golden["features"], strict=True):
            got = engine(golden_pixels(str(name), str(digest), shared)[None])[0]
            if str(name).startswith("drawn/"):
                assert np.abs(got - expected).max() < FULL_DECODE_DIFFERENCE, name
            cosine = got @ expected / np.linalg.norm(got) / np.linalg.norm(expected)
            assert cosine > DRAFT_COSINE, name


def test_a_picture_has_the_same_features_in_any_batch(random_model_folder: Path) -> None:
    content = (random_model_folder / "model.tflite").read_bytes()
    pictures = np.random.default_rng(3).integers(0, 256, (5, 224, 224, 3), np.uint8)
    four = open_engine("litert", content, 4)
    together = np.concatenate([four(pictures[:4]), four(pictures[4:])])
    other_order = four(pictures[[3, 0, 4]])
    assert together.shape == (5, FEATURES)
    assert np.array_equal(together[[3, 0, 4]], other_order)
    one = open_engine("litert", content, 1)
    alone = np.concatenate([one(picture[None]) for picture in pictures])
    assert np.abs(alone - together).max() < 1e-5 * np.abs(alone).max()


def test_the_keras_engine_agrees_with_litert_and_needs_no_network(random_model_folder: Path, tmp_path: Path) -> None:
    """TensorFlow lives in the environment `model` alone: the engine runs there, as a process without a way out."""
    python = PROJECT / ".venv/model/bin/python"
    if not python.exists():
        pytest.skip("the environment `model` is not set up: make .venv/model/.ready")
    pictures = np.random.default_rng(3).integers(0, 256, (3, 224, 224, 3), np.uint8)
    np.save(tmp_path / "pictures.npy", pictures)
    program = """
import json, socket, sys
import numpy as np
def refuse(*_): raise OSError("no network here")
socket.socket.connect = refuse
from spark_jobs.worker.infer import open_engine
engine = open_engine("keras", open(sys.argv[1], "rb").read(), 2)
pictures = np.load(sys.argv[2])
json.dump(np.concatenate([engine(pictures[:2]), engine(pictures[2:])]).tolist(), sys.stdout)
"""
    arguments = [random_model_folder / "weights.h5", tmp_path / "pictures.npy"]
    few = {"PYTHONPATH": f"{PROJECT}:{PROJECT}/plugins", "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    environment = passed_variables(os.environ) | few
    answer = subprocess.run(
        [python, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    keras = np.array(json.loads(answer.stdout), np.float32)
    engine = open_engine("litert", (random_model_folder / "model.tflite").read_bytes(), 1)
    litert = np.concatenate([engine(picture[None]) for picture in pictures])
    assert np.abs(keras - litert).max() < 1e-4
    assert "tensorflow" not in sys.modules

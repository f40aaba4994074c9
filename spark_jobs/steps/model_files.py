"""The published model: its description, its files, and whether they are what they claim to be."""

import hashlib
from dataclasses import dataclass
from typing import Any

from verger_rules.addresses import S3Address
from verger_rules.model import FEATURES, INPUT_SIZE, fingerprint

from spark_jobs.job_errors import RefusedError
from spark_jobs.store.object_store import StoreSettings, read_bytes, read_json

ENGINE_FILES = {"litert": "model.tflite", "keras": "weights.h5"}


@dataclass(frozen=True)
class Model:
    """A model read and checked.

    Attributes:
        fingerprint: 16 hex digits that stand for the weights and the precision.
        weights: where the weights come from: `file`, `imagenet` or `random`.
        engine: what runs it: `litert` or `keras`.
        content: the engine's file: the LiteRT flatbuffer or the Keras weights.
    """

    fingerprint: str
    weights: str
    engine: str
    content: bytes


def read_model(settings: StoreSettings, folder: S3Address, engine: str) -> Model:
    """Read `model.json` and the file the engine runs.

    Raises:
        RefusedError: something is missing, or is not what its checksum or the fingerprint says.
    """
    description = read_json(settings, folder.child("model.json"))
    check_description(description, folder)
    if engine == "keras" and description["precision"] != "float32":
        raise RefusedError(
            f"--engine keras computes float32, the model is {description['precision']}: their features must not mix"
        )
    name = ENGINE_FILES[engine]
    if name not in description["files"]:
        raise RefusedError(f"{folder.uri} has no {name}, which --engine {engine} runs: prepare the model again")
    content = read_bytes(settings, folder.child(name))
    actual = hashlib.sha256(content).hexdigest()
    if actual != description["files"][name]["sha256"]:
        raise RefusedError(
            f"{folder.uri}/{name} has SHA-256 {actual}, model.json says {description['files'][name]['sha256']}: "
            "prepare the model again"
        )
    return Model(description["fingerprint"], description["weights"], engine, content)


def check_description(description: dict[str, Any], folder: S3Address) -> None:
    """Check what `model.json` says against itself, the folder's name and what this code can run.

    Raises:
        RefusedError: it is not consistent.
    """
    uri = f"{folder.uri}/model.json"
    needed = {"fingerprint", "weights", "weights_sha256", "precision", "input_size", "features", "files"}
    if missing := sorted(needed - description.keys()):
        raise RefusedError(f"{uri} lacks {', '.join(missing)}: prepare the model again")
    shape = (description["input_size"], description["features"])
    if shape != (INPUT_SIZE, FEATURES):
        raise RefusedError(f"{uri} describes {shape} (input size, features), not {(INPUT_SIZE, FEATURES)}")
    expected = fingerprint(description["weights_sha256"], description["precision"])
    name = folder.key.rpartition("/")[2]
    if not expected == description["fingerprint"] == name:
        raise RefusedError(
            f"{uri} says fingerprint {description['fingerprint']!r}, its folder {name!r}, its weights {expected!r}: "
            "these must be equal; prepare the model again"
        )

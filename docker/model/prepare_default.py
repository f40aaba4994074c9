"""The stack's one-shot service `model`: makes a model the bucket's default one, unless nothing is to be done.

    prepare_default.py --weights-dir /weights --models-uri s3://verger/models

With an .h5 file in the folder, that file's model; without one, the default that there is, else Keras' ImageNet weights,
else random ones (tools/prepare_model.py). Exit code 2 and one line `verger: error: ...` when that cannot be.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.exceptions import BaseError

from tools.model import publishing

if TYPE_CHECKING:
    from collections.abc import Sequence

PREPARE = Path("/opt/verger/tools/prepare_model.py")
SECRETS = Path("/run/verger/s3")
LOUD = "*" * 90


def choose_weights(found: Sequence[Path]) -> Path | None:
    """The weights file of the folder; None where there is none. Raises ValueError when there are several."""
    if len(found) > 1:
        names = ", ".join(sorted(path.name for path in found))
        raise ValueError(f"the weights folder holds {len(found)} .h5 files ({names}): leave one")
    return found[0] if found else None


def read_default(models_uri: str) -> dict[str, Any] | None:
    """`model.json` of the bucket's default model, if there is one and it is whole."""
    store = publishing.store_of(models_uri)
    try:
        default = json.loads(bytes(obstore.get(store, "default.json").bytes()))
    except FileNotFoundError:
        return None
    files = publishing.published(store, default["fingerprint"])
    return json.loads(files["model.json"]) if files else None


def describe_default(model: dict[str, Any]) -> str:
    """What a person should know about the default model."""
    line = f"the bucket's default model is {model['fingerprint']}, weights: {model['weights']}"
    if model["weights"] != "random":
        return line
    return (
        f"{line}\n{LOUD}\nTHE MODEL HAS RANDOM WEIGHTS: features and matrix carry no meaning.\n"
        f"Put an .h5 file of MobileNetV2 in docker/weights/ (docs/model.md) and start again.\n{LOUD}"
    )


def main(arguments: Sequence[str]) -> int:
    """Prepares, or tells that there is nothing to do; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights-dir", type=Path, required=True)
    parser.add_argument("--models-uri", required=True)
    parsed = parser.parse_args(arguments)
    os.environ["AWS_ACCESS_KEY_ID"] = (SECRETS / "access_key").read_text("ascii")
    os.environ["AWS_SECRET_ACCESS_KEY"] = (SECRETS / "secret_key").read_text("ascii")
    try:
        weights = choose_weights(sorted(parsed.weights_dir.glob("*.h5")))
        default = None if weights else read_default(parsed.models_uri)
    except (ValueError, OSError, BaseError) as error:
        print(f"verger: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    if default:
        print(describe_default(default), flush=True)
        return 0
    command = [sys.executable, str(PREPARE), "--models-uri", parsed.models_uri, "--make-default"]
    return subprocess.run([*command, *(["--weights", str(weights)] if weights else [])], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

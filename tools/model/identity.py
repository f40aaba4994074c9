"""What names a model: its fingerprint (docs/formats.md)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
INPUT_SIZE = 224
FEATURES = 1280
NORMALISATION = "x / 127.5 - 1, inside the graph"


def sha256_of(data: bytes) -> str:
    """The SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file, in hex.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def precision_name(precision: str, calibration_sha256: str = "") -> str:
    """The precision as `model.json` and the fingerprint have it: `float32`, or `int8-` and 16 hex digits.

    The digits stand for the calibration pictures: other pictures make another model, whose features must not mix with
    the first's.
    """
    return f"{precision}-{calibration_sha256[:16]}" if calibration_sha256 else precision


def fingerprint(weights_sha256: str, precision: str = "float32") -> str:
    """The 16 hex digits that stand for a model in every path; `precision` as `precision_name` gives it."""
    text = f"verger-model-1\nmobilenet_v2_1.0\n{INPUT_SIZE}\n{precision}\n{weights_sha256}"
    return sha256_of(text.encode())[:16]

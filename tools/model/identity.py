"""What names a model: its fingerprint (docs/formats.md)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
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

"""What goes into MobileNetV2 without its top, what comes out, and what names one."""

import hashlib

# Pixels of a side of the square picture it takes.
INPUT_SIZE = 224
# Features it gives: the channels of its last layer, averaged over the picture.
FEATURES = 1280


def fingerprint(weights_sha256: str, precision: str = "float32") -> str:
    """The 16 hex digits that stand for a model in every path (docs/formats.md, `model.json`).

    Args:
        weights_sha256: of the weights file, in hex.
        precision: `float32`, or `int8-` and 16 hex digits of the calibration.
    """
    text = f"verger-model-1\nmobilenet_v2_1.0\n{INPUT_SIZE}\n{precision}\n{weights_sha256}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]

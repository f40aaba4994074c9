"""Keras' MobileNetV2 as a LiteRT flatbuffer. TensorFlow is imported inside the functions: it takes seconds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from verger_rules.model import INPUT_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.model.pictures import Picture


def start_tensorflow() -> dict[str, str]:
    """Imports TensorFlow, on the processor and silent; returns the versions that `model.json` records."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from importlib.metadata import version  # noqa: PLC0415  # after the settings that TensorFlow reads on import

    import keras  # noqa: PLC0415  # the same

    keras.utils.disable_interactive_logging()
    return {name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert")}


def build() -> Any:  # noqa: ANN401  # Keras ships no types
    """MobileNetV2 without its top, averaged to (batch, 1280), with untrained weights."""
    import keras  # noqa: PLC0415  # see start_tensorflow

    keras.utils.clear_session()  # names count up from model to model, and a weights file holds them
    return keras.applications.MobileNetV2(
        input_shape=(INPUT_SIZE, INPUT_SIZE, 3), alpha=1.0, include_top=False, pooling="avg", weights=None
    )


def to_litert(model: Any, calibration: Sequence[Picture] = ()) -> bytes:  # noqa: ANN401  # Keras ships no types
    """The flatbuffer: (1, 224, 224, 3) float32 RGB in 0..255 to (1, 1280) float32.

    With calibration pictures the inside is int8 (full-integer post-training quantisation); the ends stay float32.
    """
    import tensorflow as tf  # noqa: PLC0415  # see start_tensorflow

    # Freezing the function takes a third of the time of `from_keras_model`, which writes a SavedModel first.
    from tensorflow.python.framework.convert_to_constants import (  # noqa: PLC0415  # see start_tensorflow
        convert_variables_to_constants_v2,
    )

    signature = [tf.TensorSpec((1, INPUT_SIZE, INPUT_SIZE, 3), tf.float32, name="image")]
    function = tf.function(lambda image: model(image / 127.5 - 1.0, training=False), input_signature=signature)
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if calibration:

        def representative() -> Iterator[list[Any]]:
            for picture in calibration:
                yield [picture.batch()]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converted = converter.convert()
    if not isinstance(converted, bytes):
        raise TypeError(f"the converter returned {type(converted).__name__} instead of bytes")
    return converted

"""The engines that turn pixels into features, one per Python worker, each on one thread."""

import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from verger_rules.model import FEATURES, INPUT_SIZE

from spark_jobs.worker.shared import Shared

Batch = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Engine = Callable[[Batch], Features]


@dataclass(frozen=True)
class SharedModel:
    """The model as the workers get it; two are equal when they would compute the same.

    Attributes:
        fingerprint, engine: of the model.
        batch_size: pictures per call; the last batch of a partition is filled up, so that any batch computes alike.
        content: the bytes of the engine's file.
    """

    fingerprint: str
    engine: str
    batch_size: int
    content: Shared = field(compare=False, repr=False)


@functools.lru_cache(maxsize=1)
def engine_of_worker(model: SharedModel) -> Engine:
    """The engine of this worker process, built when the first partition asks and kept for the next ones."""
    return open_engine(model.engine, model.content.value, model.batch_size)


def open_engine(name: str, content: bytes, batch_size: int) -> Engine:
    """An engine: uint8 [n, 224, 224, 3] RGB with n <= batch_size -> float32 [n, 1280]."""
    call = (_open_keras if name == "keras" else _open_litert)(content, batch_size)

    def infer(batch: Batch) -> Features:
        if len(batch) == batch_size:
            return call(batch)
        filled = np.zeros((batch_size, *batch.shape[1:]), np.uint8)
        filled[: len(batch)] = batch
        return call(filled)[: len(batch)]

    return infer


def _open_litert(content: bytes, batch_size: int) -> Engine:
    # Imported here: the driver and the tests of other parts need no interpreter.
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(model_content=content, num_threads=1)
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    if batch_size > 1:
        interpreter.resize_tensor_input(source, [batch_size, INPUT_SIZE, INPUT_SIZE, 3])
    interpreter.allocate_tensors()

    def infer(batch: Batch) -> Features:
        interpreter.tensor(source)()[...] = batch
        interpreter.invoke()
        return _checked_shape(interpreter.get_tensor(result), batch_size)

    return infer


def _open_keras(content: bytes, batch_size: int) -> Engine:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # Imported here: only the reference engine needs TensorFlow, which is not on the nodes by default.
    import keras  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.clear_session()
    shape = (INPUT_SIZE, INPUT_SIZE, 3)
    # weights=None: Keras never looks for weights of its own, which it would download.
    model = keras.applications.MobileNetV2(input_shape=shape, include_top=False, pooling="avg", weights=None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.weights.h5"
        path.write_bytes(content)
        model.load_weights(path)

    def infer(batch: Batch) -> Features:
        scaled = batch.astype(np.float32) / np.float32(127.5) - np.float32(1.0)
        return _checked_shape(model.predict_on_batch(scaled), batch_size)

    return infer


def _checked_shape(features: npt.NDArray[Any], batch_size: int) -> Features:
    if features.shape != (batch_size, FEATURES) or features.dtype != np.float32:
        raise TypeError(f"the model returned {features.dtype} {features.shape}, not ({batch_size}, {FEATURES})")
    return features

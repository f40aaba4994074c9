"""The yardstick: one process, one thread, pictures in memory; decode, resize, infer, and nothing else.

Runs in the environment `spark`. Prints `result: ` and one JSON object: images, seconds of each repeat.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from spark_jobs.worker.decode import decode_image, prepare_pillow
from spark_jobs.worker.infer import open_engine

MAX_PIXELS = 100_000_000
WARM_UP = 8


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="a text file with one path a line")
    parser.add_argument("--model", type=Path, required=True, help="model.tflite")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=1, help="pictures the model takes at a time")
    asked = parser.parse_args()
    contents = [Path(line).read_bytes() for line in asked.pictures.read_text("utf-8").splitlines()]
    engine = open_engine("litert", asked.model.read_bytes(), asked.batch_size)
    prepare_pillow()

    def once(some: list[bytes]) -> float:
        started = time.perf_counter()
        for start in range(0, len(some), asked.batch_size):
            batch = some[start : start + asked.batch_size]
            engine(np.stack([decode_image(content, MAX_PIXELS).pixels for content in batch]))
        return time.perf_counter() - started

    once(contents[:WARM_UP])
    seconds = [once(contents) for _ in range(asked.repeats)]
    print(f"result: {json.dumps({'images': len(contents), 'seconds': seconds})}")


if __name__ == "__main__":
    main()

"""The yardstick: one process, one thread, pictures in memory; decode, resize, infer, and nothing else.

Runs in the environment `spark`. Prints `result: ` and one JSON object: images, seconds of each repeat.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from spark_jobs.decode import decode_image, prepare_pillow
from spark_jobs.infer import open_engine

MAX_PIXELS = 100_000_000
WARM_UP = 8


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="a text file with one path a line")
    parser.add_argument("--model", type=Path, required=True, help="model.tflite")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    contents = [Path(line).read_bytes() for line in asked.pictures.read_text("utf-8").splitlines()]
    engine = open_engine("litert", asked.model.read_bytes(), 1)
    prepare_pillow()

    def once(some: list[bytes]) -> float:
        started = time.perf_counter()
        for content in some:
            engine(decode_image(content, MAX_PIXELS).pixels[None])
        return time.perf_counter() - started

    once(contents[:WARM_UP])
    seconds = [once(contents) for _ in range(asked.repeats)]
    print(f"result: {json.dumps({'images': len(contents), 'seconds': seconds})}")


if __name__ == "__main__":
    main()

"""What decoding costs, and what JPEG's own scaling (`draft`) and the thumbnail have to do with it.

Runs in the environment `spark`. Prints `result: ` and one JSON object: milliseconds a picture.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from spark_jobs import decode

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PIXELS = 100_000_000
REPEATS = 3
#: No picture is twice as large as this: none is scaled while it is decoded.
NO_DRAFT = (1 << 20, 1 << 20)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="a text file with one path a line")
    asked = parser.parse_args()
    contents = [Path(line).read_bytes() for line in asked.pictures.read_text("utf-8").splitlines()]
    decode.prepare_pillow()

    def milliseconds(work: Callable[[bytes], object]) -> float:
        def once() -> float:
            started = time.perf_counter()
            for content in contents:
                work(content)
            return 1000 * (time.perf_counter() - started) / len(contents)

        return round(statistics.median(once() for _ in range(REPEATS)), 3)

    def whole(content: bytes) -> object:
        return decode.decode_image(content, MAX_PIXELS)

    small = Image.new("RGB", (224, 224), (200, 40, 30))
    costs = {
        "decode": milliseconds(whole),
        "thumbnail": milliseconds(lambda _: decode._thumbnail(small, 100, 100)),  # noqa: SLF001 - its cost alone
    }
    decode.DRAFT_SIZE = NO_DRAFT
    costs["decode_without_draft"] = milliseconds(whole)
    print(f"result: {json.dumps(costs)}")


if __name__ == "__main__":
    main()

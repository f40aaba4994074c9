"""What decoding JPEGs costs beside what it cost before it heard of colours and damage, and what is part of that.

Runs in the environment `spark`. Prints `result: ` and one JSON object: milliseconds a picture. Everything is measured
in turn, several times over, so that a slow minute of the machine is everybody's.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from verger_rules.model import INPUT_SIZE

from spark_jobs.worker import decode
from spark_jobs.worker.decoding.icc_profile import PRIMARIES, rgb_profile, srgb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_PIXELS = 100_000_000
REPEATS = 3
#: The colours of every telephone's camera (H.273, primaries 12, with the curve of sRGB).
DISPLAY_P3 = rgb_profile(PRIMARIES[12], srgb)
#: No picture is twice as large as this: none is scaled while it is decoded.
NO_DRAFT = (1 << 20, 1 << 20)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="a text file with one path a line")
    asked = parser.parse_args()
    contents = [Path(line).read_bytes() for line in asked.pictures.read_text("utf-8").splitlines()]
    decode.prepare_pillow()
    print(f"result: {json.dumps(costs(contents))}")


def costs(contents: Sequence[bytes]) -> dict[str, float]:
    """Milliseconds a picture by what was done."""
    small = Image.new("RGB", (INPUT_SIZE, INPUT_SIZE), (200, 40, 30))
    of_display_p3 = [with_profile(content, DISPLAY_P3) for content in contents]
    works: dict[str, Callable[[], object]] = {
        "decode": lambda: [decode.decode_image(content, MAX_PIXELS) for content in contents],
        "decode_by_version_1": lambda: [by_version_1(content) for content in contents],
        "decode_of_display_p3": lambda: [decode.decode_image(content, MAX_PIXELS) for content in of_display_p3],
        "decode_without_draft": lambda: without_draft(contents),
        "thumbnail": lambda: [decode._thumbnail(small, 100, 100) for _ in contents],  # noqa: SLF001 - its cost alone
    }
    rounds = [{name: seconds(work) for name, work in works.items()} for _ in range(REPEATS)]
    return {name: round(1000 * statistics.median(one[name] for one in rounds) / len(contents), 3) for name in works}


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def by_version_1(content: bytes) -> tuple[object, bytes]:
    """What version 1 of the decoder made of a JPEG: its pixels as they are stored, and no look for damage."""
    with Image.open(io.BytesIO(content), formats=decode.FORMATS) as picture:
        width, height = picture.size
        picture.getexif().get(decode.ORIENTATION_TAG)
        picture.draft(picture.mode, decode.DRAFT_SIZE)
        small = picture.convert("RGB").resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BICUBIC)
    return np.asarray(small), decode._thumbnail(small, width, height)  # noqa: SLF001 - the same in both


def without_draft(contents: Sequence[bytes]) -> None:
    """Decode JPEGs in their full size."""
    usual, decode.DRAFT_SIZE = decode.DRAFT_SIZE, NO_DRAFT
    try:
        for content in contents:
            decode.decode_image(content, MAX_PIXELS)
    finally:
        decode.DRAFT_SIZE = usual


def with_profile(jpeg: bytes, profile: bytes) -> bytes:
    """The same JPEG with an ICC profile, in one APP2 segment (ICC.1:2010, B.4)."""
    segment = b"ICC_PROFILE\0\1\1" + profile
    return jpeg[:2] + b"\xff\xe2" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


if __name__ == "__main__":
    main()

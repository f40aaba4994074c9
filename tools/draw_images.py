"""Draws labelled pictures of fruit, for a first run without pictures at hand and for measurements.

Writes DIR/<label>/<file>.jpg. The same arguments give the same files, whatever the number of processes, and more
images add to those of fewer. Labels and file names hold what real ones hold: spaces, accents, +, %, #, =.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import hashlib
import multiprocessing
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.drawing.broken import BROKEN_KINDS, encoded
from tools.drawing.catalogue import labels as names_of_labels
from tools.drawing.scene import LEVELS, Conditions, Difficulty, draw

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BrokenFile", "Conditions", "Drawing", "Written", "draw", "write_images"]

# In pixels. Below the first the start of the processes takes longer than the drawing.
_WORTH_PROCESSES = 4_000_000
_PIXELS_A_TASK = 1_000_000


@dataclasses.dataclass(frozen=True)
class Drawing:
    """What to draw.

    `size` is (width, height) in pixels; with `size_range` each picture is a square of its own size between these
    bounds. `broken` files come on top of `images`.
    """

    images: int = 300
    labels: int = 8
    seed: int = 0
    size: tuple[int, int] = (100, 100)
    size_range: tuple[int, int] | None = None
    difficulty: Difficulty | Conditions = "easy"
    broken: int = 0

    def __post_init__(self) -> None:
        if self.images < 0 or self.broken < 0:
            raise ValueError(f"{min(self.images, self.broken)} pictures cannot be drawn: ask for 0 or more")
        if self.size_range is not None and self.size_range[0] > self.size_range[1]:
            raise ValueError(f"the size range {self.size_range} is upside down: the smaller size comes first")


@dataclasses.dataclass(frozen=True)
class BrokenFile:
    """A file that is broken on purpose, and what `featurize` should make of it."""

    path: Path
    outcome: str


@dataclasses.dataclass(frozen=True)
class Written:
    """How many sound pictures each label got, and the broken files."""

    per_label: dict[str, int]
    broken: tuple[BrokenFile, ...]


def write_images(output: Path, drawing: Drawing, *, processes: int | None = None) -> Written:
    """Writes the pictures under `output`; a file that already holds the same bytes is left alone.

    `processes` is as many as the machine has processors, unless given.

    Raises:
        ValueError: the labels or the size cannot be drawn.
        OSError: `output` cannot be written.
    """
    names = names_of_labels(drawing.labels)
    for name in names:
        (output / name).mkdir(parents=True, exist_ok=True)
    _draw_all(output, drawing, names, processes or os.cpu_count() or 1)
    broken = tuple(_write_broken(output, drawing, names, number) for number in range(drawing.broken))
    per_label = {name: len(range(place, drawing.images, len(names))) for place, name in enumerate(names)}
    return Written(per_label, broken)


def _draw_all(output: Path, drawing: Drawing, names: list[str], processes: int) -> None:
    width, height = drawing.size if drawing.size_range is None else (drawing.size_range[1], drawing.size_range[1])
    share = max(1, _PIXELS_A_TASK // (width * height))
    write = functools.partial(_write_share, output, drawing, names)
    numbers = [range(start, min(start + share, drawing.images)) for start in range(0, drawing.images, share)]
    if processes == 1 or drawing.images * width * height < _WORTH_PROCESSES:
        for some in numbers:
            write(some)
        return
    # Not forked: whoever calls this may hold threads (Airflow does).
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, mp_context=context) as pool:
        for _ in pool.map(write, numbers):
            pass


def _write_share(output: Path, drawing: Drawing, names: list[str], numbers: range) -> None:
    for number in numbers:
        label, index = names[number % len(names)], number // len(names)
        image = draw(label, index, drawing.seed, _size(drawing, number), difficulty=drawing.difficulty)
        _write(output / label / file_name(index), encoded(image))


def file_name(index: int) -> str:
    """A picture's name; one in seven looks like a phone's copy, one in eleven is plain hostile."""
    if index % 7 == 3:  # noqa: PLR2004  # said above
        return f"photo {index:05d} (1).jpg"
    if index % 11 == 5:  # noqa: PLR2004  # said above
        return f"été #{index:05d} + 100%=x.jpg"
    return f"{index:05d}.jpg"


def _size(drawing: Drawing, number: int) -> tuple[int, int]:
    if drawing.size_range is None:
        return drawing.size
    low, high = drawing.size_range
    digest = hashlib.sha256(f"{drawing.seed}\nsize\n{number}".encode()).digest()
    side = low + int.from_bytes(digest[:8], "big") % (high - low + 1)
    return (side, side)


def _write_broken(output: Path, drawing: Drawing, names: list[str], number: int) -> BrokenFile:
    kind = BROKEN_KINDS[number % len(BROKEN_KINDS)]
    label = names[number % len(names)]
    path = output / label / f"broken {number:03d} {kind.name}"
    _write(path, kind.spoil(draw(label, -1 - number, drawing.seed)))
    return BrokenFile(path, kind.outcome)


def _write(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        path.write_bytes(data)


def parse_args(arguments: Sequence[str]) -> tuple[Path, Drawing, int | None]:
    """The command line: the folder, what to draw, the number of processes."""
    parser = argparse.ArgumentParser(
        prog="draw_images.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--labels", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--size", type=int, default=100, help="width and height in pixels")
    size.add_argument("--size-range", type=int, nargs=2, metavar=("FROM", "TO"), help="each picture another size")
    size.add_argument("--megapixels", type=float, help="as large as a camera's photographs, 4:3")
    parser.add_argument("--difficulty", choices=tuple(LEVELS), default="easy", help="of all that follows, unless given")
    parser.add_argument("--shapes", type=float, metavar="0..1", help="how far a fruit's build strays from its kind's")
    parser.add_argument("--colours", type=float, metavar="0..1", help="how far its colour does")
    parser.add_argument(
        "--lighting", type=float, metavar="0..1", help="how dim and tinted the light, how wrong the exposure"
    )
    parser.add_argument("--sizes", type=float, metavar="0..1", help="how large, where and how turned the fruit lies")
    parser.add_argument("--settings", type=float, metavar="0..1", help="wood and cloth, other fruit, grain and blur")
    parser.add_argument("--broken", type=int, default=0, help="this many broken files on top")
    parser.add_argument("--processes", type=int, help="default: one per processor")
    parsed = parser.parse_args(arguments)
    drawing = Drawing(
        images=parsed.images,
        labels=parsed.labels,
        seed=parsed.seed,
        size=camera_size(parsed.megapixels) if parsed.megapixels else (parsed.size, parsed.size),
        size_range=tuple(parsed.size_range) if parsed.size_range else None,
        difficulty=_conditions(parsed),
        broken=parsed.broken,
    )
    return parsed.output, drawing, parsed.processes


def _conditions(parsed: argparse.Namespace) -> Conditions:
    given = {field.name: getattr(parsed, field.name) for field in dataclasses.fields(Conditions)}
    asked = {name: level for name, level in given.items() if level is not None}
    return dataclasses.replace(Conditions.of(parsed.difficulty), **asked)


def camera_size(megapixels: float) -> tuple[int, int]:
    """Width and height of a 4:3 photograph: (4000, 3000) for 12 megapixels."""
    unit = (megapixels * 1e6 / 12) ** 0.5
    return (round(4 * unit), round(3 * unit))


def main() -> int:
    """The program."""
    try:
        output, drawing, processes = parse_args(sys.argv[1:])
        written = write_images(output, drawing, processes=processes)
    except (ValueError, OSError) as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 2
    for name, count in written.per_label.items():
        print(f"{count:7d}  {name}")
    for file in written.broken:
        print(f" broken  {file.path.relative_to(output)}  ({file.outcome})")
    print(f"{sum(written.per_label.values())} pictures in {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

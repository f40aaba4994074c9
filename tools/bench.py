"""Measures Verger's two steps against what they are to be measured against, side by side in one run.

Writes bench-output/bench.json (ratios and figures) and bench-output/bench.md (the same as tables). `--quick` measures
next to nothing: it shows that the measurements work, and its numbers mean nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.benchmarks import bench_stack, pictures
from tools.benchmarks.comparison import FULL, QUICK, Comparison, Sizes, ratios
from tools.benchmarks.measured_process import run_measured
from tools.benchmarks.measurements import Bench
from tools.benchmarks.study import run_study
from tools.benchmarks.tables import as_markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROJECT = Path(__file__).resolve().parents[1]


def parse_args(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bench.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few images: does it work?")
    parser.add_argument("--output", type=Path, default=PROJECT / "bench-output", metavar="DIR")
    parser.add_argument("--weights", type=Path, metavar="FILE.h5", help="weights of MobileNetV2; random unless given")
    parser.add_argument("--repeats", type=int, choices=range(1, 6), help="of the comparisons that decide; default: 2")
    parser.add_argument("--images", type=int, metavar="N", help="the largest number; the others in proportion")
    parser.add_argument("--keep", action="store_true", help="keep what the measurements wrote, logs apart")
    return parser.parse_args(arguments)


def machine() -> dict[str, Any]:
    """The machine, as far as it tells."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def prepare_model(stack: bench_stack.BenchStack, output: Path, weights: Path | None) -> Path:
    """Prepare the model on this machine and publish it; its folder. Raises BenchError."""
    source = ["--weights", str(weights)] if weights else ["--random"]
    return _prepare(stack, output, [*source, "--models-uri", f"s3://{bench_stack.BUCKET}/models"], "model")


def prepare_int8(stack: bench_stack.BenchStack, output: Path, float32: Path) -> Path:
    """Prepare the same model with int8 inside, calibrated on the drawn pictures; its folder. Raises BenchError."""
    calibration = ["--precision", "int8", "--calibration-images", str(output / "pictures" / "small")]
    return _prepare(stack, output, ["--weights", str(float32 / "weights.h5"), *calibration], "int8")


def _prepare(stack: bench_stack.BenchStack, output: Path, options: list[str], name: str) -> Path:
    command = [str(stack.python("model")), str(PROJECT / "tools" / "prepare_model.py"), *options]
    command += ["--output-dir", str(output / "models")]
    run = run_measured("prepare_model", command, stack.environment(stack.fast), stack.logs / f"{name}.log")
    return Path(json.loads(run.log.read_text("utf-8").splitlines()[-1])["dir"])


def run(asked: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Set up, measure, and put together; raises BenchError or ServerError."""
    sizes = QUICK if asked.quick else FULL.up_to(asked.images)
    sizes = dataclasses.replace(sizes, repeats=asked.repeats or sizes.repeats)
    output: Path = asked.output.resolve()
    work = output / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    started = time.monotonic()
    begun_at = datetime.now(UTC).isoformat(timespec="seconds")
    described = machine()
    say("drawing the pictures")
    small, photographs, large = draw(output, sizes)
    with bench_stack.running(PROJECT, work) as stack:
        say("storing them and preparing the model")
        pictures.upload(stack.s3(), [*small, *photographs, *large])
        model = prepare_model(stack, output, asked.weights)
        int8 = prepare_int8(stack, output, model)
        bench = Bench(stack, model, described["cores"], sizes.bare_repeats)
        figures = {}
        for name, found in Comparison(bench, sizes, small, photographs, large, int8, say).measure():
            figures[name] = found
            # What was measured is not lost when a later measurement fails.
            (work / "figures.json").write_text(json.dumps(figures, indent=1), "utf-8")
    if not asked.keep:
        for part in ("s3", "spark", "s3proxy"):
            shutil.rmtree(work / part, ignore_errors=True)
    return {
        "format": 1,
        **{name: round(value, 3) for name, value in ratios(figures, described["cores"]).items()},
        "quick": asked.quick,
        "weights": "file" if asked.weights else "random",
        "started_at": begun_at,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "commit": commit(),
        "machine": described,
        "figures": figures,
    }


def draw(output: Path, sizes: Sizes) -> tuple[list[pictures.Picture], list[pictures.Picture], list[pictures.Picture]]:
    """The pictures, small and large and largest; those that are there from an earlier run stay."""
    most = max(sizes.job_images, sizes.steady_images, *sizes.scaling_images)
    folder = output / "pictures"
    return (
        pictures.draw_small(folder / "small", most, sizes.job_images),
        pictures.draw_photographs(folder / "photographs", sizes.photographs),
        pictures.draw_photographs(folder / "large", sizes.large_photographs, megapixels=50.0, drawn=2),
    )


def commit() -> str:
    """The commit that is measured."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 - whichever git the person uses
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def main() -> int:
    """The program."""
    asked = parse_args(sys.argv[1:])
    return run_study("bench", asked.output, lambda say: run(asked, say), as_markdown)


if __name__ == "__main__":
    sys.exit(main())

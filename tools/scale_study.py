"""What becomes of each step at a million and a hundred million images, and what the same work would cost elsewhere.

Measures the real code on images that do not exist, counts the requests that both steps make of a real S3 server, and
reckons the alternatives from the price tables. Writes scale-output/scale.json and scale.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verger.cluster.shape import assumed_rate
from verger.prices import load_prices

from tools import bench
from tools.benchmarks import pictures
from tools.benchmarks.measured_process import run_measured
from tools.benchmarks.study import run_study
from tools.scale import alternatives, s3_requests, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROJECT = Path(__file__).resolve().parents[1]
FULL_SIZES = (10_000, 100_000, 1_000_000)
QUICK_SIZES = (1_000, 2_000, 3_000)
#: Stages whose memory does not grow with the images are measured at ten times as many.
TIMES = {"plan": 10, "featurize_driver": 10, "pca_driver": 10, "publish": 10, "pca": 2}
#: Each stage with the environment and the module that hold it.
STAGES = {
    "plan": ("airflow", "airflow_stages"),
    "publish": ("airflow", "airflow_stages"),
    "featurize_driver": ("spark", "spark_stages"),
    "pca_driver": ("spark", "spark_stages"),
    "sums": ("spark", "spark_stages"),
    "pca": ("airflow", "pca_cluster"),
}
#: Pictures of a catalogue, of the web, of a phone: bytes.
MEAN_BYTES = (5_000, 100_000, 3_000_000)
COMPARED = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)


def parse_args(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scale_study.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few images: does it work?")
    parser.add_argument("--output", type=Path, default=PROJECT / "scale-output", metavar="DIR")
    return parser.parse_args(arguments)


def measure_stages(sizes: Sequence[int], work: Path, say: Callable[[str], None]) -> dict[str, list[dict[str, Any]]]:
    """Each stage at each size, in a process of its own; raises BenchError."""
    found: dict[str, list[dict[str, Any]]] = {}
    for stage, (environment, module) in STAGES.items():
        found[stage] = []
        for images in (size * TIMES.get(stage, 1) for size in sizes):
            say(f"{stage}, {images:,} images")
            python = PROJECT / ".venv" / environment / "bin" / "python"
            command = [str(python), "-m", f"tools.scale.{module}", stage, str(images)]
            kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME", "TMPDIR") if name in os.environ}
            variables = {**kept, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}", "LC_ALL": "C.UTF-8"}
            run = run_measured(stage, command, variables, work / "logs" / f"{stage}-{images}.log")
            found[stage].append(run.result())
    return found


def by_name(stages: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    """Seconds and most memory of each stage at each number of images: `plan_10000000_seconds`, `..._peak_mib`."""
    found: dict[str, float] = {}
    for stage, runs in stages.items():
        for run in runs:
            found[f"{stage}_{run['images']}_seconds"] = round(sum(run["seconds"].values()), 1)
            found[f"{stage}_{run['images']}_peak_mib"] = round(run["peak_bytes"] / 2**20)
    return found


def count_requests(work: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """The requests of both steps; raises BenchError or ServerError."""
    say("counting requests: drawing pictures, preparing a model")
    small = pictures.draw_small(work / "pictures", s3_requests.MANY, s3_requests.MANY)
    with s3_requests.running(PROJECT, work) as stack:
        pictures.upload(stack.s3(), small)
        model = bench.prepare_model(stack, work, None)
        say("counting requests: both steps")
        return s3_requests.measure(stack, model, small, bench.machine()["cores"])


def compare() -> list[dict[str, Any]]:
    """The alternatives at every size of picture."""
    prices, table = load_prices(), alternatives.read_table()
    steps = [round(10 ** (exponent / 20)) for exponent in range(60, 161)]
    cases = []
    for mean_bytes in MEAN_BYTES:
        rows: list[dict[str, Any]] = [
            {
                "images": images,
                "found": [
                    dataclasses.asdict(offer) for offer in alternatives.offers(images, mean_bytes, prices, table)
                ],
                "shares": alternatives.where_it_goes(images, mean_bytes, prices),
            }
            for images in COMPARED
        ]
        names = [offer["name"] for offer in rows[0]["found"]]
        (cluster,) = (name for name in names if "Verger" in name)
        evens = [
            {"other": name, **alternatives.break_even(name, cluster, mean_bytes, prices, table, steps)}
            for name in names
            if name != cluster
        ]
        cases.append({"mean_bytes": mean_bytes, "rate": assumed_rate(mean_bytes), "offers": rows, "break_even": evens})
    return cases


def study(asked: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything; raises BenchError or ServerError."""
    work: Path = asked.output.resolve() / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    begun_at = datetime.now(UTC).isoformat(timespec="seconds")
    described = bench.machine()
    stages = measure_stages(QUICK_SIZES if asked.quick else FULL_SIZES, work, say)
    counted = count_requests(work, say)
    table = alternatives.read_table()
    shutil.rmtree(work)
    return {
        "format": 1,
        **by_name(stages),
        "quick": asked.quick,
        "started_at": begun_at,
        "commit": bench.commit(),
        "machine": described,
        "stages": stages,
        "requests": counted,
        "prices": {**table, "as_of": table["as_of"].isoformat(), "ec2_as_of": load_prices().as_of.isoformat()},
        "alternatives": compare(),
    }


def main() -> int:
    """The program."""
    asked = parse_args(sys.argv[1:])
    return run_study("scale", asked.output, lambda say: study(asked, say), tables.as_markdown)


if __name__ == "__main__":
    sys.exit(main())

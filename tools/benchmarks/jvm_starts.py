"""How long the local run's JVMs take to start, with the class archives that set-up makes and without, in turn.

    python -m tools.benchmarks.jvm_starts --repeats 3

The S3 server until it listens, and a whole Spark step that does next to nothing. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from tools.benchmarks.measured_process import RESULT
from tools.local_run import class_archive, s3_server
from tools.make_class_archives import JARS, run_spark

#: Java's own archive alone, as a JVM starts that is told nothing.
WITHOUT = ("-Xshare:auto",)


def s3_seconds(java_options: tuple[str, ...], work: Path) -> float:
    """Until the S3 server listens."""
    settings = s3_server.S3Settings(work / "s3", work, work / "log", JARS / "s3proxy", java_options=java_options)
    started = time.perf_counter()
    with s3_server.running(settings):
        return round(time.perf_counter() - started, 3)


def spark_seconds(java_options: tuple[str, ...], work: Path) -> float:
    """A whole step."""
    started = time.perf_counter()
    run_spark(java_options, work)
    return round(time.perf_counter() - started, 3)


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    told: dict[str, dict[str, list[float]]] = {}
    for _ in range(asked.repeats):
        for name, folder, measure in (("s3", "s3proxy", s3_seconds), ("spark", "s3a", spark_seconds)):
            archive = class_archive.reading(JARS / folder / class_archive.NAME)
            for way, options in (("without", WITHOUT), ("with", archive or WITHOUT)):
                with tempfile.TemporaryDirectory() as work:
                    seconds = measure(options, Path(work))
                told.setdefault(name, {}).setdefault(way, []).append(seconds)
    print(f"{RESULT}{json.dumps(told)}", flush=True)


if __name__ == "__main__":
    main()

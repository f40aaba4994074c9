"""The whole pca step over very many vectors: a Spark of two executors of their own, and a real S3 server.

    python -m tools.scale.pca_cluster pca 2000000

The vectors of 200,000 images are stored, and more images are answered by the same ones over and over: for each image as
much is read, added up and written, on a tenth of the disk. Prints what it took as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.layout import table_folder

from spark_jobs.steps.chunking import PARTITION_IMAGES
from spark_jobs.store.answers_store import write_answers
from spark_jobs.store.object_store import StoreSettings
from tools.benchmarks import bench_stack, synthetic_table
from tools.benchmarks.bench_stack import BUCKET, REGION, BenchStack
from tools.benchmarks.measured_process import RESULT
from tools.scale import synthetic_files

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
FINGERPRINT = "f" * 16
STORED = 200_000
COMPONENTS = 10
EXECUTORS, EXECUTOR_MIB = 2, 1024
MASTER = f"local-cluster[{EXECUTORS},1,{EXECUTOR_MIB}]"


def put_table(stack: BenchStack, images: int, work: Path) -> list[str]:
    """Store vectors in files as featurize does; their names relative to the table."""
    table, s3 = table_folder(S3Address(BUCKET, "features"), FINGERPRINT), stack.s3()
    names = []
    for start in range(0, images, PARTITION_IMAGES):
        rows = synthetic_table.rows_of("run", range(start, min(start + PARTITION_IMAGES, images)))
        file = work / "rows.parquet"
        pq.write_table(rows, file, compression="zstd")
        names.append(f"outcome=featurized/run/{start // PARTITION_IMAGES:05d}.parquet")
        s3.upload_file(str(file), BUCKET, table.child(names[-1]).key)
    return names


def answers_of(images: int, names: list[str], stored: int) -> Iterator[pa.Table]:
    """The answers of so many images, out of the stored rows over and over; schema ANSWERS."""
    files, first = pa.array(names), 0
    for part in synthetic_files.parts_of_manifest(images):
        rows = np.arange(first, first + part.num_rows) % stored
        first += part.num_rows
        yield synthetic_files.answered(part, files.take(pa.array(rows // PARTITION_IMAGES)), rows % PARTITION_IMAGES)


def measure(images: int) -> dict[str, Any]:
    """Run the step once; seconds, the most memory of all its processes, and what it tells of itself."""
    with tempfile.TemporaryDirectory(prefix="verger-pca-") as place:
        work = Path(place)
        with bench_stack.running(PROJECT, work) as stack:
            os.environ.update({k: v for k, v in stack.environment(stack.fast).items() if k.startswith("AWS_")})
            stored = min(images, STORED)
            names = put_table(stack, stored, work)
            write_answers(
                StoreSettings(stack.fast, REGION), S3Address(BUCKET, "answers"), answers_of(images, names, stored)
            )
            program = [
                *("--executor-memory", f"{EXECUTOR_MIB // 2}m", str(PROJECT / "spark_jobs/entry_points/pca.py")),
                *("--answers-uri", f"s3://{BUCKET}/answers", "--features-uri", f"s3://{BUCKET}/features"),
                *("--model-fingerprint", FINGERPRINT, "--output-uri", f"s3://{BUCKET}/results"),
                *("--metrics-uri", f"s3://{BUCKET}/pca.json", "--run-id", "scale", "--k", str(COMPONENTS)),
            ]
            process = stack.submit("pca", program, cores=EXECUTORS, master=MASTER)
            told = json.loads(stack.s3().get_object(Bucket=BUCKET, Key="pca.json")["Body"].read())
    return {
        "images": images,
        "rows": told["rows"],
        "whole_process_seconds": round(process.seconds, 1),
        "seconds": {name: told["seconds"][name] for name in ("read", "fit", "write")},
        "peak_bytes": round((process.peak_mib or 0) * 2**20),
    }


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["pca"])
    parser.add_argument("images", type=int)
    print(RESULT + json.dumps(measure(parser.parse_args().images)), flush=True)


if __name__ == "__main__":
    main()

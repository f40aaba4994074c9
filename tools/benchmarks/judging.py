"""What judging the matrix adds to a run: seconds and memory, of the step `pca` and of publishing.

.venv/spark/bin/python -m tools.benchmarks.judging pca 20000
.venv/airflow/bin/python -m tools.benchmarks.judging publish 20000

Features of images that do not exist, around a middle for each of 100 labels. Last line: one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

#: As the step judges at most (spark_jobs/quality/sample.py).
MOST_JUDGED = 10_000
LABELS = 100

Vectors = npt.NDArray[np.float32]


def listed(images: int) -> pa.Table:
    """So many images, columns path, etag, label, size; one in a hundred has the bytes of another."""
    numbers = np.arange(images)
    labels = [f"label {at * LABELS // images:03}" for at in range(images)]
    etags = [f"{number - number % 100 // 99:032x}" for number in numbers.tolist()]
    paths = [f"s3://fruits/images/{label}/{number:08}.jpg" for number, label in enumerate(labels)]
    return pa.table({"path": paths, "etag": etags, "label": labels, "size": np.full(images, 100_000)})


def features(images: int) -> Vectors:
    """Of so many of them."""
    random = np.random.default_rng(1)
    middles = random.normal(size=(LABELS, 1280)).astype(np.float32)
    which = np.arange(images) * LABELS // images
    found: Vectors = np.maximum(middles[which] + random.normal(size=(images, 1280)).astype(np.float32) * 2, 0)
    return found


def judge_in_pca(images: int) -> float:
    """The seconds that the step takes for it, reading apart."""
    from spark_jobs.pca.moments import moments_of  # noqa: PLC0415 -- one environment has it
    from spark_jobs.pca.pca_model import fit  # noqa: PLC0415
    from spark_jobs.quality.judgement import judge  # noqa: PLC0415
    from spark_jobs.quality.sample import Sample  # noqa: PLC0415

    judged = min(images, MOST_JUDGED)
    vectors = features(judged)
    model = fit(moments_of(vectors), standardize=False)
    sample = Sample(np.arange(judged), listed(judged).select(["path", "label"]))
    started = time.perf_counter()
    judge(model, sample, vectors, (), "", near=True)
    return time.perf_counter() - started


def judge_in_publishing(images: int, folder: Path) -> float:
    """The seconds that publishing takes for the classifier and the duplicates."""
    from verger.quality.classifier import choose_examples, describe_classifier, fit_all  # noqa: PLC0415
    from verger.quality.duplicates import find_duplicates  # noqa: PLC0415
    from verger.quality.judged_images import JudgedImages  # noqa: PLC0415
    from verger_rules.disk_database import DiskLimits, disk_database  # noqa: PLC0415

    count = min(images, MOST_JUDGED)
    vectors = features(count)
    groups, similarity = pa.nulls(count, pa.int64()), pa.nulls(count, pa.float32())
    told = listed(count).select(["path", "label"]).append_column("part", pa.array([""] * count))
    told = told.append_column("near_group", groups).append_column("similarity", similarity)
    judged = JudgedImages({"split": None, "near_bound": 0.93}, told, vectors)
    pq.write_table(listed(images), folder / "manifest.parquet")
    started = time.perf_counter()
    examples = choose_examples(judged, vectors[:, :10].astype(np.float64))
    if examples is None:
        raise LookupError("no classifier")
    describe_classifier(examples)
    fit_all(examples)
    with disk_database(DiskLimits(folder, 512, "a folder", "memory")) as lists:
        find_duplicates(lists, folder / "manifest.parquet", judged, images, "")
    return time.perf_counter() - started


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="judging", description=__doc__)
    parser.add_argument("part", choices=("pca", "publish"))
    parser.add_argument("images", type=int)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        seconds = judge_in_pca(asked.images) if asked.part == "pca" else judge_in_publishing(asked.images, Path(name))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps({"part": asked.part, "images": asked.images, "seconds": round(seconds, 2), "peak_mib": round(peak)})
    )


if __name__ == "__main__":
    main()

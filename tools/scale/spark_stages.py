"""The stages of the Spark driver that hold every image, and the sums that travel between the nodes.

`python -m tools.scale.spark_stages STAGE IMAGES` runs one in this process and prints what it took.
"""

from __future__ import annotations

import io
import pickle
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.answering import answering_rows, rows_to_do
from verger_rules.answers import make_answers
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile
from verger_rules.layout import chunk_folder, table_folder
from verger_rules.model import FEATURES
from verger_rules.schemas import FEATURIZED, KEYS, MANIFEST
from verger_rules.table_keys import TableKeys

from spark_jobs.pca.feature_blocks import BLOCK_IMAGES, block_tasks, rows_of_answers
from spark_jobs.pca.moments import merge, moments_of, pack
from spark_jobs.pca.pca_model import fit
from spark_jobs.pca.results_writer import matrix_rows, to_csv
from spark_jobs.pca.spark_passes import MERGED_AT_ONCE
from spark_jobs.steps.chunking import PARTITION_IMAGES, chunks, partition_bounds
from spark_jobs.steps.manifest import check_manifest
from spark_jobs.worker.partition_work import to_ipc
from tools.scale import synthetic
from tools.scale.stage_process import Stopwatch, run_stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUN = "scheduled__2026-11-21T00-00-00-00-00-0a1b2c3d"
COMPUTED_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHUNK_IMAGES = 20_000
FILE_BYTES = 7_000_000
#: Ten nodes of four vCPU: the most that a run takes unless told otherwise.
SLOTS = 40
COMPONENTS = 10
REPEATS = 10


def stored_manifest(images: int) -> bytes:
    """A manifest as plan_run writes it."""
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, MANIFEST, compression="zstd") as writer:
        for start in range(0, images, 100_000):
            numbers = range(start, min(start + 100_000, images))
            pairs = sorted(map(synthetic.identity, numbers))
            labels = [path.split("/")[-2] for path, _ in pairs]
            paths, etags = zip(*pairs, strict=True)
            writer.write_table(pa.table([paths, etags, labels, [synthetic.SIZE] * len(pairs)], schema=MANIFEST))
    return buffer.getvalue()


def read_stored(content: bytes) -> pa.Table:
    """The manifest as the steps hold it; sorted here, since real keys are and ours are made label by label."""
    table = pq.read_table(pa.BufferReader(content), columns=MANIFEST.names).cast(MANIFEST)
    return check_manifest(table.sort_by("path").combine_chunks(), "the manifest")


def committed(manifest: pa.Table, images: int) -> TableKeys:
    """The keys of the first images' rows, as they lie in files of their chunks."""
    files = tuple(_file(number) for number in range(-(-images // PARTITION_IMAGES)))
    rows = np.arange(images, dtype=np.int64)
    listed = manifest.slice(0, images).combine_chunks()
    columns = {
        "path": listed["path"],
        "read_etag": listed["etag"],
        "decoder": np.full(images, DECODER_VERSION, np.int32),
        "run": pa.array([RUN]).take(pa.array(np.zeros(images, np.int64))),
        "computed_at": pa.array([COMPUTED_AT], KEYS.field("computed_at").type).take(pa.array(rows * 0)),
    }
    return TableKeys(files, pa.table(columns, KEYS), rows // PARTITION_IMAGES, rows % PARTITION_IMAGES)


def _file(number: int) -> TableFile:
    folder = chunk_folder(FEATURIZED, RUN, number * PARTITION_IMAGES // CHUNK_IMAGES)
    return TableFile(f"{folder}/{number:05d}-{'0' * 32}.parquet", FEATURIZED, PARTITION_IMAGES, FILE_BYTES)


def no_rejects(name: str, _: Sequence[str]) -> pa.Table:
    """Reads the reasons of a file's rejects, of which there are none here."""
    raise FileNotFoundError(name)


def featurize_driver(images: int) -> dict[str, Any]:
    """What featurize's driver does beside Spark: read the list, subtract what is done, cut chunks, decide answers."""
    content = stored_manifest(images)
    watch = Stopwatch()
    manifest = read_stored(content)
    reading = watch.lap()
    table = committed(manifest, images * 99 // 100)
    watch.lap()
    todo = rows_to_do(manifest, table, RUN, retry_rejects=False)
    subtracting = watch.lap()
    # A first run has everything to do: every chunk is cut, and one broadcast.
    cut = list(chunks(manifest, CHUNK_IMAGES))
    bounds = partition_bounds(cut[0]["size"].to_numpy(), SLOTS)
    broadcast = to_ipc(cut[0])
    cutting = watch.lap()
    table = committed(manifest, images)
    watch.lap()
    answers = make_answers(manifest, table, answering_rows(manifest, table, RUN), no_rejects)
    stored = _parquet_bytes(answers)
    return {
        "to_do": todo.num_rows,
        "answered": answers.num_rows,
        "answers_bytes": stored,
        "chunks": len(cut),
        "partitions_a_chunk": len(bounds) - 1,
        "broadcast_bytes": len(broadcast),
        "manifest_table_bytes": manifest.nbytes,
        "seconds": {"read": reading, "subtract": subtracting, "cut": cutting, "decide": watch.lap()},
    }


def pca_driver(images: int) -> dict[str, Any]:
    """What pca's driver does beside Spark: find each image's row, describe the tasks, write the matrix."""
    manifest = read_stored(stored_manifest(images))
    table = committed(manifest, images)
    answers = make_answers(manifest, table, np.arange(images, dtype=np.int64), no_rejects)
    watch = Stopwatch()
    rows = rows_of_answers(answers, table_folder(S3Address(synthetic.BUCKET, "features"), "f" * 16))
    tasks = block_tasks(rows, SLOTS)
    described = pickle.dumps(tasks)
    planning = watch.lap()
    labels = manifest.select(["path", "label"])
    written = {"csv": 0, "parquet": 0}
    for piece in _pieces(labels, tasks[0].images):
        written["csv"] += len(to_csv(piece))
        written["parquet"] += _parquet_bytes(piece)
    return {
        "tasks": len(tasks),
        "tasks_bytes": len(described),
        "matrix_csv_bytes": written["csv"],
        "matrix_parquet_bytes": written["parquet"],
        "seconds": {"describe_tasks": planning, "write_matrix": watch.lap()},
    }


def _pieces(images: pa.Table, length: int) -> Iterator[pa.Table]:
    generator = np.random.default_rng(1)
    for start in range(0, images.num_rows, length):
        piece = images.slice(start, length)
        yield matrix_rows(piece, generator.standard_normal((piece.num_rows, COMPONENTS)))


def _parquet_bytes(rows: pa.Table) -> int:
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.tell()


def sums(images: int) -> dict[str, Any]:
    """One block's sums, a merge of two, the fit on the driver; and how many partial sums travel for so many images."""
    vectors = np.random.default_rng(1).random((BLOCK_IMAGES, FEATURES), np.float32)
    first = moments_of(vectors)
    watch = Stopwatch()
    for _ in range(REPEATS):
        second = moments_of(vectors)
    block = watch.lap() / REPEATS
    for _ in range(REPEATS):
        merged = merge(first, second)
    merging = watch.lap() / REPEATS
    n, mean, triangle = pack(merged)
    watch.lap()
    fit(merged, standardize=False)
    fitting = watch.lap()
    packed = len(mean) + len(triangle)
    return {
        "images": images,
        "block_images": BLOCK_IMAGES,
        "packed_bytes": packed,
        "merged_at_once": MERGED_AT_ONCE,
        "images_of_the_fit": n,
        "seconds": {"block": block, "merge": merging, "fit": fitting},
    }


if __name__ == "__main__":
    run_stage(
        {"featurize_driver": featurize_driver, "pca_driver": pca_driver, "sums": sums},
        sys.argv[1:],
    )

"""The stages of the Spark driver that hold every image, and the sums that travel between the nodes.

`python -m tools.scale.spark_stages STAGE IMAGES` runs one in this process and prints what it took.
"""

from __future__ import annotations

import io
import pickle
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from spark_jobs.commit_records import CommitRecord, TableFiles, to_json
from spark_jobs.committed_rows import CommittedFile, CommittedRows, answering_rows, rows_to_do
from verger_rules.addresses import S3Address
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.model import FEATURES
from verger_rules.schemas import MANIFEST

from spark_jobs.pca.block_passes import MERGED_AT_ONCE
from spark_jobs.pca.feature_blocks import BLOCK_IMAGES, block_tasks
from spark_jobs.pca.moments import merge, moments_of, pack
from spark_jobs.pca.pca_model import fit
from spark_jobs.pca.results_writer import matrix_rows, matrix_schema, to_csv
from spark_jobs.steps.chunking import chunks, partition_bounds
from spark_jobs.steps.manifest import check_manifest
from spark_jobs.worker.partition_work import to_ipc
from tools.scale import synthetic
from tools.scale.stage_process import Stopwatch, run_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "scheduled__2026-11-21T00:00:00+00:00"
CHUNK_IMAGES = 20_000
FILE_ROWS = 4096
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


def committed(manifest: pa.Table, images: int) -> CommittedRows:
    """The keys of the first images' rows, as they lie in files of their chunks."""
    count = -(-images // FILE_ROWS)
    files = tuple(_file(number) for number in range(count))
    rows = np.arange(images, dtype=np.int64)
    keys = manifest.select(["path", "etag"]).slice(0, images).combine_chunks()
    keys = keys.append_column("decoder", pa.array(np.full(keys.num_rows, DECODER_VERSION, np.int32)))
    return CommittedRows(files, keys, rows // FILE_ROWS, rows % FILE_ROWS)


def _file(number: int) -> CommittedFile:
    chunk = number * FILE_ROWS // CHUNK_IMAGES
    name = f"run=scheduled__2026-11-21T00-00-00-00-00-0a1b2c3d/chunk={chunk}/part-{number:05d}-{'0' * 32}-c000.parquet"
    table = TableFiles(FILE_ROWS, (name,))
    record = CommitRecord(RUN, "f" * 16, chunk, "2026-11-21T12:00:00Z", table, TableFiles(0, ()))
    address = S3Address(synthetic.BUCKET, f"features/model={'f' * 16}/{name}")
    return CommittedFile(address, record, is_features=True)


def featurize_driver(images: int) -> dict[str, Any]:
    """What featurize's driver does beside Spark: read the list, subtract what is done, cut chunks."""
    content = stored_manifest(images)
    watch = Stopwatch()
    manifest = read_stored(content)
    reading = watch.lap()
    table = committed(manifest, images * 99 // 100)
    watch.lap()
    todo = rows_to_do(manifest, table, RUN, retry_rejects=False)
    answers = answering_rows(manifest, table, RUN)
    subtracting = watch.lap()
    # A first run has everything to do: every chunk is cut, and one broadcast.
    cut = list(chunks(manifest, CHUNK_IMAGES))
    bounds = partition_bounds(cut[0]["size"].to_numpy(), SLOTS)
    broadcast = to_ipc(cut[0])
    records = [to_json(file.record) for file in table.files]
    return {
        "to_do": todo.num_rows,
        "answered": int((answers >= 0).sum()),
        "chunks": len(cut),
        "partitions_a_chunk": len(bounds) - 1,
        "broadcast_bytes": len(broadcast),
        "manifest_table_bytes": manifest.nbytes,
        "record_bytes": len(str(records[0])) if records else 0,
        "seconds": {"read": reading, "subtract": subtracting, "cut": watch.lap()},
    }


def pca_driver(images: int) -> dict[str, Any]:
    """What pca's driver does beside Spark: find each image's row, describe the tasks, write the matrix."""
    manifest = read_stored(stored_manifest(images))
    table = committed(manifest, images)
    watch = Stopwatch()
    rows = answering_rows(manifest, table, RUN)
    tasks = block_tasks(table, rows, SLOTS)
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


def _parquet_bytes(piece: pa.Table) -> int:
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, matrix_schema(COMPONENTS), compression="zstd") as writer:
        writer.write_table(piece)
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

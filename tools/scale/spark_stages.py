"""The stages of the Spark driver that go over every image, and the sums that travel between the nodes.

The store is a folder. `python -m tools.scale.spark_stages STAGE IMAGES` runs one here and prints what it took.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
from verger_rules.answering import Answering
from verger_rules.model import FEATURES

from spark_jobs.pca.feature_blocks import BLOCK_IMAGES, block_tasks
from spark_jobs.pca.moments import merge, moments_of, pack
from spark_jobs.pca.pca_model import fit
from spark_jobs.pca.results_writer import matrix_rows, matrix_schema, to_csv
from spark_jobs.pca.spark_passes import MERGED_AT_ONCE
from spark_jobs.steps.chunking import partition_bounds
from spark_jobs.steps.featurize_arguments import LIST_MEMORY_MIB
from spark_jobs.steps.featurize_report import Outcome
from spark_jobs.steps.manifest import check_manifest
from spark_jobs.steps.pca_step import read_input
from spark_jobs.steps.todo_list import write_todo
from spark_jobs.store import answers_store
from spark_jobs.store.answers_store import write_answers
from spark_jobs.store.list_database import list_database
from spark_jobs.store.object_store import StoreSettings
from spark_jobs.worker.partition_work import to_ipc
from tools.benchmarks.local_table import LocalFolder, local_place, local_reader
from tools.scale import synthetic_files
from tools.scale.stage_process import Stopwatch, run_stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

CHUNK_IMAGES = 20_000
#: Of a hundred images, so many have a row before the step.
DONE_PERCENT = 99
#: Ten nodes of four vCPU: the most that a run takes unless told otherwise.
SLOTS = 40
COMPONENTS = 10
REPEATS = 10
NO_STORE = StoreSettings(None, "eu-west-1")


@contextmanager
def folder_for_store() -> Iterator[None]:
    """Let the answers lie in a folder of this machine."""

    def keys(_: StoreSettings, folder: LocalFolder) -> list[str]:
        return sorted(path.as_posix().removeprefix("/") for path in Path(folder.uri).iterdir())

    with (
        mock.patch.object(answers_store, "list_keys", keys),
        mock.patch.object(answers_store, "_open", lambda _, address: ("", pq.ParquetFile(f"/{address.key}"))),
        mock.patch.object(answers_store, "UploadedFile", lambda _, address: Path(f"/{address.key}").open("wb")),
    ):
        yield


def local_folder(path: Path) -> LocalFolder:
    """A folder of this machine, made."""
    path.mkdir()
    return LocalFolder("", path.as_posix().removeprefix("/"))


def featurize_driver(images: int) -> dict[str, Any]:
    """What featurize's driver does beside Spark: check the list, find what is to do, cut chunks, decide the answers."""
    with tempfile.TemporaryDirectory() as place, list_database(Path(place), LIST_MEMORY_MIB) as lists:
        table, done = (
            Path(place) / "table",
            images * DONE_PERCENT // 100 // synthetic_files.FILE_ROWS * synthetic_files.FILE_ROWS,
        )
        files = synthetic_files.write_identities(table, done)
        manifest = synthetic_files.write_manifest(lists.folder / "manifest.parquet", images)
        read = local_reader(local_place(table))
        watch = Stopwatch()
        check_manifest(manifest, "the manifest")
        checking = watch.lap()
        answering = Answering(lists, manifest, synthetic_files.RUN)
        answering.read_keys(files, read)
        reading = watch.lap()
        answering.decide()
        todo = write_todo(lists.folder / "todo.parquet", answering.unanswered(retry_rejects=False), CHUNK_IMAGES)
        subtracting = watch.lap()
        first = todo.chunk(0)
        bounds = partition_bounds(first["size"].to_numpy(), SLOTS)
        broadcast = to_ipc(first)
        cutting = watch.lap()
        files += synthetic_files.write_identities(table, images, first=done)
        watch.lap()
        answering.read_keys(files, read)
        answering.decide()
        outcome, folder = Outcome(), local_folder(Path(place) / "answers")
        with folder_for_store():
            write_answers(NO_STORE, folder, outcome.counting(answering.answers()))
        deciding = watch.lap()
        return {
            "to_do": todo.images,
            "answered": outcome.featurized,
            "answers_bytes": sum(file.stat().st_size for file in Path(folder.uri).iterdir()),
            "chunks": todo.chunks,
            "partitions_a_chunk": len(bounds) - 1,
            "broadcast_bytes": len(broadcast),
            "space_bytes": sum(file.stat().st_size for file in lists.folder.rglob("*") if file.is_file()),
            "seconds": {"read": checking + reading, "subtract": subtracting, "cut": cutting, "decide": deciding},
        }


def pca_driver(images: int) -> dict[str, Any]:
    """What pca's driver does beside Spark: read the answers, describe the tasks, write the matrix."""
    with tempfile.TemporaryDirectory() as place, folder_for_store():
        folder = local_folder(Path(place) / "answers")
        write_answers(NO_STORE, folder, synthetic_files.answers_of(images))
        watch = Stopwatch()
        featurized = read_input(NO_STORE, folder, folder).images
        reading = watch.lap()
        tasks = block_tasks(len(featurized), SLOTS, most=None)
        described = pickle.dumps((featurized, tasks, block_tasks(len(featurized), SLOTS)))
        planning = watch.lap()
        written = {"csv": 0, "parquet": 0}
        with pq.ParquetWriter(Path(place) / "matrix.parquet", matrix_schema(COMPONENTS), compression="zstd") as writer:
            for piece in _pieces(featurized.read(("path", "label"), 0, images, BLOCK_IMAGES)):
                writer.write_table(piece)
                written["csv"] += len(to_csv(piece))
        written["parquet"] = (Path(place) / "matrix.parquet").stat().st_size
        return {
            "tasks": len(tasks),
            "tasks_bytes": len(described),
            "matrix_csv_bytes": written["csv"],
            "matrix_parquet_bytes": written["parquet"],
            "seconds": {"read_answers": reading, "describe_tasks": planning, "write_matrix": watch.lap()},
        }


def _pieces(images: Iterable[pa.Table]) -> Iterator[pa.Table]:
    generator = np.random.default_rng(1)
    for some in images:
        yield matrix_rows(some.combine_chunks(), generator.standard_normal((some.num_rows, COMPONENTS)))


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

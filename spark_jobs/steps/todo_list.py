"""The images that a step has to do, as a file of this machine: a chunk is read without the others."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.row_parts import in_parts
from verger_rules.schemas import MANIFEST


@dataclass(frozen=True)
class TodoList:
    """What is to do, cut into chunks, each of which is committed as one.

    Attributes:
        path: the Parquet file; a row group is a chunk.
        images, chunks: how many there are.
    """

    path: Path
    images: int
    chunks: int

    def chunk(self, number: int) -> pa.Table:
        """The images of a chunk, in order; schema MANIFEST."""
        with pq.ParquetFile(self.path) as file:
            return file.read_row_group(number).cast(MANIFEST).combine_chunks()


def write_todo(path: Path, images: Iterable[pa.Table], chunk_images: int) -> TodoList:
    """Write the images to do, in their order, into chunks of so many; schema MANIFEST."""
    count = chunks = 0
    with pq.ParquetWriter(path, MANIFEST, compression="zstd") as writer:
        for chunk in in_parts(images, chunk_images):
            writer.write_table(chunk, row_group_size=chunk.num_rows)
            count += chunk.num_rows
            chunks += 1
    return TodoList(path, count, chunks)

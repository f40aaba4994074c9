"""The frozen list of a run's images as a file of this machine, read part by part."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from verger_rules.row_parts import PART_ROWS, in_parts
from verger_rules.schemas import MANIFEST


class ManifestError(ValueError):
    """A file is not a manifest; the message says why."""


@dataclass(frozen=True)
class ManifestFile:
    """A manifest that ascends by path.

    Attributes:
        path: the Parquet file.
        images: how many it lists.
    """

    path: Path
    images: int

    def parts(self) -> Iterator[pa.Table]:
        """Its rows in order, PART_ROWS at a time; schema MANIFEST. Raises ManifestError."""
        with pq.ParquetFile(self.path) as file:
            for part in in_parts(file.iter_batches(PART_ROWS, columns=MANIFEST.names), PART_ROWS):
                yield _as_manifest(part)


def _as_manifest(part: pa.Table) -> pa.Table:
    if any(column.null_count for column in part.columns):
        raise ManifestError("it holds an empty cell: every image needs path, etag, label and size")
    try:
        return part.select(MANIFEST.names).cast(MANIFEST).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise ManifestError(f"its columns are not {', '.join(MANIFEST.names)}: {error}") from error

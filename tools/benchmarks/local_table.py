"""A feature table in a folder of this machine, for measuring the product's own code without an S3 server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.delta_table import TablePlace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from verger_rules.answering import ReadColumns


class LocalFolder(S3Address):
    """A folder of this machine where the product takes one of a bucket: the bucket has no name, the key is the path."""

    @property
    def uri(self) -> str:
        """Its path."""
        return f"/{self.key}"


def local_place(folder: Path) -> TablePlace:
    """A table in a folder of this machine."""
    return TablePlace(LocalFolder("", folder.resolve().as_posix().removeprefix("/")), {})


def local_reader(place: TablePlace) -> ReadColumns:
    """Reads columns of such a table's files."""

    def read(name: str, columns: Sequence[str]) -> pa.Table:
        return pq.ParquetFile(f"{place.folder.uri}/{name}").read(columns=list(columns))

    return read

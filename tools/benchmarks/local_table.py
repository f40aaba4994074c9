"""A feature table in a folder of this machine, for measuring the product's own code without an S3 server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from verger_rules.addresses import S3Address
from verger_rules.delta_table import TablePlace

if TYPE_CHECKING:
    from pathlib import Path


class LocalFolder(S3Address):
    """A folder of this machine where the product takes one of a bucket: the bucket has no name, the key is the path."""

    @property
    def uri(self) -> str:
        """Its path."""
        return f"/{self.key}"


def local_place(folder: Path) -> TablePlace:
    """A table in a folder of this machine."""
    return TablePlace(LocalFolder("", folder.resolve().as_posix().removeprefix("/")), {})

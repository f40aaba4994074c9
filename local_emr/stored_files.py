"""Files that grow on a node, gzipped to S3 again and again."""

from __future__ import annotations

import gzip
import logging
from typing import TYPE_CHECKING

from local_emr.storage import Storage, StorageError

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)


class StoredFiles:
    """Knows how much of each file is stored already; not to be shared between threads."""

    def __init__(self, storage: Storage) -> None:
        """Store nothing yet."""
        self._storage = storage
        self._stored: dict[Path, int] = {}

    def store(self, file: Path, uri: str) -> bool:
        """Store the file unless it is stored as it is; whether it now is. A failure is logged, not raised."""
        if self._stored.get(file) == file.stat().st_size:
            return True
        content = file.read_bytes()
        try:
            self._storage.upload(uri, gzip.compress(content, mtime=0))
        except StorageError as error:
            _log.warning("a log was not stored: %s", error)
            return False
        self._stored[file] = len(content)
        return True

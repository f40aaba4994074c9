"""One object as a file: to read at any place, or to write from beginning to end."""

import io
from types import TracebackType
from typing import Any

import obstore
from obstore.exceptions import BaseError
from verger_rules.addresses import S3Address

from spark_jobs.store.object_store import StoreSettings, open_patient_store
from spark_jobs.store.ranged_file import RangedFile
from spark_jobs.store.work_count import STORE_WORK


class RemoteFile(RangedFile):
    """Reads ranges of an object, each with one request; `etag` is its own at the moment of opening.

    Raises:
        FileNotFoundError: on opening, when it is not there.
        OSError: the store does not give it.
    """

    def __init__(self, settings: StoreSettings, address: S3Address) -> None:
        self._store = open_patient_store(settings, address.bucket)
        self._address = address
        try:
            found = obstore.head(self._store, address.key)
        except BaseError as error:
            raise OSError(f"{address.uri}: {error}") from error
        self.etag = found["e_tag"] or ""
        super().__init__(int(found["size"]), self._get_range)

    def _get_range(self, start: int, length: int) -> memoryview:
        try:
            content = obstore.get_range(self._store, self._address.key, start=start, length=length)
        except BaseError as error:
            raise OSError(f"{self._address.uri}: {error}") from error
        STORE_WORK.add()
        return memoryview(content)


class UploadedFile(io.RawIOBase):
    """Writes an object from beginning to end, in parts; it appears when the file is closed.

    An error inside its `with` block leaves no object: what was uploaded so far is for the bucket's rule for incomplete
    uploads.
    """

    def __init__(self, settings: StoreSettings, address: S3Address) -> None:
        super().__init__()
        self._writer = obstore.open_writer(open_patient_store(settings, address.bucket), address.key)
        self._failed = False

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any, /) -> int:  # noqa: ANN401 - any buffer
        """Take some bytes."""
        written = self._writer.write(bytes(content))
        STORE_WORK.add()
        return written

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failed = kind is not None
        self.close()

    def close(self) -> None:
        """Let the object appear."""
        if not self.closed and not self._failed:
            self._writer.close()
        super().close()

"""One object as a file to read at any place, as pyarrow wants Parquet."""

import io
from typing import Any

import obstore
from obstore.exceptions import BaseError
from verger_rules.addresses import S3Address

from spark_jobs.object_store import StoreSettings, open_patient_store
from spark_jobs.work_count import STORE_WORK


class RemoteFile(io.RawIOBase):
    """Reads ranges of an object, each with one request.

    Raises:
        FileNotFoundError: on opening, when it is not there.
        OSError: the store does not give it.
    """

    def __init__(self, settings: StoreSettings, address: S3Address) -> None:
        super().__init__()
        self._store = open_patient_store(settings, address.bucket)
        self._address = address
        self._place = 0
        try:
            self._size = int(obstore.head(self._store, address.key)["size"])
        except BaseError as error:
            raise OSError(f"{address.uri}: {error}") from error

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The place of the next read."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move the place of the next read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any writable buffer
        """Read into a buffer; 0 at the end."""
        target = memoryview(buffer).cast("B")
        length = min(len(target), self._size - self._place)
        if length <= 0:
            return 0
        try:
            content = obstore.get_range(self._store, self._address.key, start=self._place, length=length)
        except BaseError as error:
            raise OSError(f"{self._address.uri}: {error}") from error
        STORE_WORK.add()
        target[:length] = memoryview(content)
        self._place += length
        return length


class UploadedFile(io.RawIOBase):
    """Writes an object from beginning to end, in parts; it appears when the file is closed."""

    def __init__(self, settings: StoreSettings, address: S3Address) -> None:
        super().__init__()
        self._writer = obstore.open_writer(open_patient_store(settings, address.bucket), address.key)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: Any, /) -> int:  # noqa: ANN401 - any buffer
        """Take some bytes."""
        written = self._writer.write(bytes(content))
        STORE_WORK.add()
        return written

    def close(self) -> None:
        """Let the object appear."""
        if not self.closed:
            self._writer.close()
        super().close()

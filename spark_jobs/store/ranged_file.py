"""A file to read at any place, as pyarrow wants Parquet, over whatever can give a range of bytes."""

import io
from collections.abc import Callable
from typing import Any


class RangedFile(io.RawIOBase):
    """Reads ranges of something with one call each.

    Raises:
        OSError: on reading, when a range comes short; and whatever `read_range` raises.
    """

    def __init__(self, size: int, read_range: Callable[[int, int], bytes | memoryview]) -> None:
        """`size` in bytes; `read_range(start, length)` is asked for what lies within it, and never for nothing."""
        super().__init__()
        self._size = size
        self._read_range = read_range
        self._place = 0

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
        content = memoryview(self._read_range(self._place, length)).cast("B")
        if len(content) != length:
            raise OSError(f"{len(content)} bytes came instead of {length} from {self._place} on")
        target[:length] = content
        self._place += length
        return length

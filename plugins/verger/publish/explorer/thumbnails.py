"""Thumbnails of the feature table as sheets: streamed, a sheet and some files at a time."""

import io
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError
from verger_rules.addresses import S3Address
from verger_rules.schemas import TABLE_FILE

#: Pixels of a thumbnail's longer side (docs/formats.md), hence of a cell.
CELL = 64
#: A sheet is 1,024 x 1,024 pixels: 4 MB decoded, so that a phone can hold the dozen that a page shows.
COLUMNS = 16
PER_SHEET = COLUMNS * COLUMNS
#: Rows of a Parquet file that are in memory at once.
_BATCH = 512
_QUALITY = 84
_NONE = -1

#: Files that are read meanwhile: each is a wait for the store, and 2 MB.
_FILES_AHEAD = 8
# A file that an erasure wrote again has other kinds of text and bytes (binary_view), which cannot be taken from.
_COLUMNS = pa.schema([TABLE_FILE.field(name) for name in ("width", "height", "thumbnail")])

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Thumbnails:
    """Where each picture's thumbnail is, and how large the picture is; arrays are [pictures].

    Attributes:
        slot: cell number, counted through all sheets; -1 for none.
        width: the picture's own width in pixels; 0 when unknown.
        height: its height.
        thumbnail_width: the thumbnail's width in pixels, at most 64.
        thumbnail_height: its height.
        sheets: how many sheets there are.
    """

    slot: Int32s
    width: Int32s
    height: Int32s
    thumbnail_width: Int32s
    thumbnail_height: Int32s
    sheets: int


def sheet_name(number: int) -> str:
    """The file of a sheet."""
    return f"sheet-{number:04}.jpg"


def write_sheets(folder: Path, filesystem: pyarrow.fs.FileSystem, table: S3Address, pictures: pa.Table) -> Thumbnails:
    """Write the sheets of some pictures into a folder.

    `table` is the folder of the feature table, and `pictures` say in which row of which file each one's thumbnail is
    (columns file, row). Of each file width, height and thumbnail are read; some files ahead are in memory, of each the
    rows that are asked for.
    """
    count = pictures.num_rows
    found = Thumbnails(
        slot=np.full(count, _NONE, np.int32),
        width=np.zeros(count, np.int32),
        height=np.zeros(count, np.int32),
        thumbnail_width=np.zeros(count, np.int32),
        thumbnail_height=np.zeros(count, np.int32),
        sheets=0,
    )
    sheets = _SheetWriter(folder)
    rows = pictures["row"].to_numpy()
    read = partial(_read_file, filesystem, f"{table.bucket}/{table.key}", rows)
    for numbers, stored in _ahead(read, _by_file(pictures["file"].combine_chunks())):
        columns = (stored[name].to_pylist() for name in _COLUMNS.names)
        for picture, width, height, thumbnail in zip(numbers.tolist(), *columns, strict=True):
            found.width[picture], found.height[picture] = width, height
            placed = sheets.add(thumbnail)
            if placed:
                found.slot[picture], found.thumbnail_width[picture], found.thumbnail_height[picture] = placed
    return Thumbnails(**{**vars(found), "sheets": sheets.close()})


def _ahead(
    read: Callable[[tuple[str, Int64s]], tuple[Int64s, pa.Table]], files: Iterator[tuple[str, Int64s]]
) -> Iterator[tuple[Int64s, pa.Table]]:
    """What is read of each file, in order; _FILES_AHEAD of them meanwhile, since each waits for the store."""
    with ThreadPoolExecutor(_FILES_AHEAD) as pool:
        window: deque[Future[tuple[Int64s, pa.Table]]] = deque()
        try:
            while True:
                window.extend(pool.submit(read, file) for file in islice(files, _FILES_AHEAD + 1 - len(window)))
                if not window:
                    return
                yield window.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _by_file(names: pa.StringArray) -> Iterator[tuple[str, Int64s]]:
    """The pictures of each file, files in the order of their first picture."""
    encoded = names.dictionary_encode()
    number = encoded.indices.to_numpy()
    order = np.argsort(number, kind="stable")
    bounds = np.searchsorted(number[order], np.arange(len(encoded.dictionary) + 1))
    for place, name in enumerate(encoded.dictionary.to_pylist()):
        yield name, order[bounds[place] : bounds[place + 1]]


def _read_file(
    filesystem: pyarrow.fs.FileSystem, table: str, rows: Int64s, file: tuple[str, Int64s]
) -> tuple[Int64s, pa.Table]:
    """The pictures of a file in the order of its rows, and these rows' columns of _COLUMNS."""
    name, pictures = file
    pictures = pictures[np.argsort(rows[pictures])]
    wanted = rows[pictures]
    found, start = [_COLUMNS.empty_table()], 0
    with filesystem.open_input_file(f"{table}/{name}") as stream:
        for batch in pq.ParquetFile(stream).iter_batches(_BATCH, columns=_COLUMNS.names):
            first, last = np.searchsorted(wanted, [start, start + batch.num_rows])
            if first < last:
                rows_of_batch = pa.Table.from_batches([batch]).select(_COLUMNS.names).cast(_COLUMNS)
                found.append(rows_of_batch.take(pa.array(wanted[first:last] - start)))
            start += batch.num_rows
    return pictures, pa.concat_tables(found)


class _SheetWriter:
    """Fills one sheet after the other; only the one that is being filled is in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = 0
        self._sheet = _empty_sheet()

    def add(self, thumbnail: bytes | None) -> tuple[int, int, int] | None:
        """Put a thumbnail into the next cell; its slot, width and height, or None when it is no picture."""
        picture = _decoded(thumbnail)
        if picture is None:
            return None
        slot = self._next
        cell = slot % PER_SHEET
        self._sheet.paste(picture, (cell % COLUMNS * CELL, cell // COLUMNS * CELL))
        self._next += 1
        if self._next % PER_SHEET == 0:
            self._save()
        return slot, picture.width, picture.height

    def close(self) -> int:
        """Write the last sheet; returns how many there are."""
        if self._next % PER_SHEET:
            self._save()
        return -(-self._next // PER_SHEET)

    def _save(self) -> None:
        # Cells are whole numbers of JPEG's blocks, so no picture bleeds into its neighbour.
        number = (self._next - 1) // PER_SHEET
        self._sheet.save(self._folder / sheet_name(number), format="JPEG", quality=_QUALITY)
        self._sheet = _empty_sheet()


def _empty_sheet() -> Image.Image:
    return Image.new("RGB", (COLUMNS * CELL, COLUMNS * CELL), (128, 128, 128))


def _decoded(thumbnail: bytes | None) -> Image.Image | None:
    if not thumbnail:
        return None
    try:
        with Image.open(io.BytesIO(thumbnail), formats=["JPEG"]) as picture:
            # What featurize writes is never larger: something else is not decoded.
            return picture.convert("RGB") if max(picture.size) <= CELL else None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None

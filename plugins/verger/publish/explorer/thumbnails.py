"""Thumbnails of the feature table as sheets: streamed, so that memory does not grow with the number of pictures."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from verger.plan.feature_table import DECODER_VERSION, Commit, read_identities

#: Pixels of a thumbnail's longer side (docs/formats.md), hence of a cell.
CELL = 64
#: A sheet is 1,024 x 1,024 pixels: 4 MB decoded, so that a phone can hold the dozen that a page shows.
COLUMNS = 16
PER_SHEET = COLUMNS * COLUMNS
#: Rows of a Parquet file that are in memory at once.
_BATCH = 512
_QUALITY = 84
_NONE = -1
#: What makes a row answer a picture; that this version of the decoder made it counts more than both.
_SAME_RUN, _SAME_ETAG, _SAME_DECODER = 1, 2, 4

Int32s = npt.NDArray[np.int32]


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


@dataclass(frozen=True)
class _Answers:
    """Which row of which file answers each picture; arrays are [pictures]."""

    file: Int32s
    row: npt.NDArray[np.int64]


def sheet_name(number: int) -> str:
    """The file of a sheet."""
    return f"sheet-{number:04}.jpg"


def write_sheets(
    folder: Path,
    filesystem: pyarrow.fs.FileSystem,
    bucket: str,
    commits: Sequence[Commit],
    pictures: pa.Table,
    *,
    slug: str,
) -> Thumbnails:
    """Write the sheets of some pictures into a folder.

    `pictures` has the columns path and etag, unique by path; `slug` is of the run that they belong to. Of the feature
    table only path, etag, decoder, width, height and thumbnail are read, and of the last three one batch at a time.
    """
    files = [(key, commit.name.rpartition(".")[0] == slug) for commit in commits for key in commit.features]
    answers = _find_rows(filesystem, bucket, files, pictures)
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
    by_file = np.argsort(answers.file, kind="stable")
    bounds = np.searchsorted(answers.file[by_file], np.arange(len(files) + 1))
    for number, (key, _) in enumerate(files):
        of_file = by_file[bounds[number] : bounds[number + 1]]
        if not of_file.size:
            continue
        for picture, width, height, thumbnail in _stream(filesystem, f"{bucket}/{key}", answers.row[of_file], of_file):
            found.width[picture], found.height[picture] = width, height
            placed = sheets.add(thumbnail)
            if placed:
                found.slot[picture], found.thumbnail_width[picture], found.thumbnail_height[picture] = placed
    return Thumbnails(**{**vars(found), "sheets": sheets.close()})


def _find_rows(
    filesystem: pyarrow.fs.FileSystem, bucket: str, files: Sequence[tuple[str, bool]], pictures: pa.Table
) -> _Answers:
    """A row with the picture's path and etag, else one with its path from this very run (docs/formats.md).

    Rows of this version of the decoder come first: the thumbnail is of the pixels that the features are of.
    """
    paths, etags = pictures["path"].combine_chunks(), pictures["etag"].combine_chunks()
    answers = _Answers(np.full(len(paths), _NONE, np.int32), np.full(len(paths), _NONE, np.int64))
    best = np.zeros(len(paths), np.int8)
    for read in _read_keys(filesystem, bucket, files, len(paths)):
        found = pc.index_in(read["path"].combine_chunks(), value_set=paths).fill_null(_NONE).to_numpy()
        rows = np.flatnonzero(found >= 0)
        keys, picture = read.drop_columns("path").take(pa.array(rows)), found[rows]
        same_etag = pc.equal(keys["etag"].combine_chunks(), etags.take(pa.array(picture)))
        same_run = keys["same_run"].to_numpy()
        worth = np.where(same_etag.to_numpy(zero_copy_only=False), _SAME_ETAG, np.where(same_run, _SAME_RUN, 0))
        made_now = keys["decoder"].to_numpy() == DECODER_VERSION
        worth += np.where((worth > 0) & made_now, _SAME_DECODER, 0)
        better = np.flatnonzero(worth > best[picture])
        # A picture's best row, and of equal ones the first.
        better = better[np.argsort(-worth[better], kind="stable")]
        picture, firsts = np.unique(picture[better], return_index=True)
        chosen = better[firsts]
        answers.file[picture] = keys["file"].to_numpy()[chosen]
        answers.row[picture] = keys["row"].to_numpy()[chosen]
        best[picture] = worth[chosen]
    return answers


def _read_keys(
    filesystem: pyarrow.fs.FileSystem, bucket: str, files: Sequence[tuple[str, bool]], rows: int
) -> Iterator[pa.Table]:
    """The keys of all rows, in tables of at least `rows` rows but for the last.

    Their columns are path, etag, decoder, file, row, same_run.

    To look a table up costs at least as much as to look all pictures up: a table a file would cost their product.
    """
    gathered: list[pa.Table] = []
    missing = rows
    for number, (key, same_run) in enumerate(files):
        read = read_identities(filesystem, f"{bucket}/{key}")
        columns = {
            "file": np.full(read.num_rows, number, np.int32),
            "row": np.arange(read.num_rows, dtype=np.int64),
            "same_run": np.full(read.num_rows, same_run),
        }
        gathered.append(pa.table({name: read[name] for name in read.column_names} | columns))
        missing -= read.num_rows
        if missing <= 0:
            yield pa.concat_tables(gathered)
            gathered, missing = [], rows
    if gathered:
        yield pa.concat_tables(gathered)


def _stream(
    filesystem: pyarrow.fs.FileSystem, path: str, rows: npt.NDArray[np.int64], pictures: npt.NDArray[np.int64]
) -> Iterator[tuple[int, int, int, bytes]]:
    """Some rows of a file, in its order: picture, width, height, thumbnail."""
    order = np.argsort(rows)
    rows, pictures = rows[order], pictures[order]
    start = 0
    with filesystem.open_input_file(path) as stream:
        batches = pq.ParquetFile(stream).iter_batches(_BATCH, columns=["width", "height", "thumbnail"])
        for batch in batches:
            first, last = np.searchsorted(rows, [start, start + batch.num_rows])
            wanted = batch.take(pa.array(rows[first:last] - start))
            columns = (wanted.column(name).to_pylist() for name in ("width", "height", "thumbnail"))
            yield from zip(pictures[first:last].tolist(), *columns, strict=True)
            start += batch.num_rows


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

"""A run's manifest, answers and matrix side by side, read part by part: all three ascend by path."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.answers import AnswersError, checked_parts, disagreement, has_features
from verger_rules.manifest_file import ManifestFile
from verger_rules.row_parts import PART_ROWS, in_parts

from verger.storage.layout import RunLayout


@dataclass(frozen=True)
class RowsPart:
    """Some images of a manifest.

    Attributes:
        listed: their rows of it.
        answers: their answers, schema ANSWERS.
        matrix: the rows of the matrix of those with features.
        first: the number in the whole manifest of the first image.
        first_row: the number in the whole matrix of its first row here.
    """

    listed: pa.Table
    answers: pa.Table
    matrix: pa.Table
    first: int
    first_row: int


@dataclass(frozen=True)
class RunRows:
    """The files of a run that have a row for each image, on this machine's disk.

    Attributes:
        manifest: what was listed.
        before: the manifest of the run before; None without one.
        answers: the files of its answers, ascending.
        matrix: the matrix.
        rows: of the matrix.
    """

    manifest: ManifestFile
    before: ManifestFile | None
    answers: tuple[Path, ...]
    matrix: Path
    rows: int

    @property
    def columns(self) -> list[str]:
        """Of the matrix."""
        return list(pq.read_schema(self.matrix).names)

    def parts(self, columns: Sequence[str]) -> Iterator[RowsPart]:
        """All images, part by part, with some columns of the matrix, among them `path`.

        Raises:
            AnswersError: an image has no answer or several, or one with features no row of the matrix or several.
        """
        schema = pq.read_schema(self.matrix)
        matrix = _Rows(_batches(self.matrix, columns), pa.schema([schema.field(name) for name in columns]))
        answers = in_parts(checked_parts(self.answer_parts()), PART_ROWS)
        first = first_row = 0
        for listed, answered in zip_longest(self.manifest.parts(), answers):
            if listed is None or answered is None or not listed["path"].equals(answered["path"]):
                raise AnswersError(_disagreement(self.manifest.parts(), self.answer_parts(), "listed", "answered"))
            rows = matrix.take(answered.num_rows - answered["file"].null_count)
            if not rows["path"].equals(answered.filter(has_features(answered))["path"]):
                raise AnswersError(self._of_matrix())
            yield RowsPart(listed, answered, rows, first, first_row)
            first, first_row = first + listed.num_rows, first_row + rows.num_rows
        if matrix.take(1).num_rows:
            raise AnswersError(self._of_matrix())

    def answer_parts(self) -> Iterator[pa.Table]:
        """The answers, part by part."""
        for path in self.answers:
            yield from _batches(path, None)

    def _of_matrix(self) -> str:
        featurized = (part.filter(has_features(part)) for part in self.answer_parts())
        return _disagreement(featurized, _batches(self.matrix, ["path"]), "with features", "in the matrix")


def fetch_rows(filesystem: pyarrow.fs.FileSystem, run: RunLayout, before: RunLayout | None, folder: Path) -> RunRows:
    """Copy a run's files that have a row for each image into a folder of this machine.

    Raises:
        FileNotFoundError: the manifest or the matrix is not there; its message is the address.
        AnswersError: the answers are not, or one of the files cannot be read.
    """
    answers = run.answers
    found = filesystem.get_file_info(pyarrow.fs.FileSelector(f"{answers.bucket}/{answers.key}", allow_not_found=True))
    names = sorted(file.base_name for file in found if file.base_name.endswith(".parquet"))
    if not names:
        raise AnswersError(f"{answers.uri}/ holds none")
    manifest = _fetch_manifest(filesystem, run, folder / "manifest.parquet")
    if manifest is None:
        raise FileNotFoundError(run.run_file("manifest.parquet").uri)
    matrix = run.result_file("matrix.parquet")
    if not _fetch(filesystem, matrix, folder / "matrix.parquet"):
        raise FileNotFoundError(matrix.uri)
    for name in names:
        _fetch(filesystem, answers.child(name), folder / f"answers-{name}")
    try:
        for name in names:
            pq.read_metadata(folder / f"answers-{name}")
    except pa.ArrowInvalid as error:
        raise AnswersError(f"{answers.uri}/ cannot be read: {error}") from error
    return RunRows(
        manifest=manifest,
        before=_fetch_manifest(filesystem, before, folder / "before.parquet") if before else None,
        answers=tuple(folder / f"answers-{name}" for name in names),
        matrix=folder / "matrix.parquet",
        rows=pq.read_metadata(folder / "matrix.parquet").num_rows,
    )


def _fetch_manifest(filesystem: pyarrow.fs.FileSystem, run: RunLayout, path: Path) -> ManifestFile | None:
    if not _fetch(filesystem, run.run_file("manifest.parquet"), path):
        return None
    return ManifestFile(path, pq.read_metadata(path).num_rows)


def _fetch(filesystem: pyarrow.fs.FileSystem, address: S3Address, path: Path) -> bool:
    """Copy an object; whether it is there."""
    try:
        with filesystem.open_input_stream(f"{address.bucket}/{address.key}") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except FileNotFoundError:
        return False
    return True


def _batches(path: Path, columns: Sequence[str] | None) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(PART_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


class _Rows:
    """Hands out rows of a table that is read part by part."""

    def __init__(self, parts: Iterator[pa.Table], schema: pa.Schema) -> None:
        self._parts = parts
        self._held = schema.empty_table()

    def take(self, rows: int) -> pa.Table:
        """The next rows; fewer where there are no more."""
        while self._held.num_rows < rows and (part := next(self._parts, None)) is not None:
            self._held = pa.concat_tables([self._held, part.cast(self._held.schema)])
        taken, self._held = self._held.slice(0, rows), self._held.slice(rows)
        return taken


def _disagreement(left: Iterable[pa.Table], right: Iterable[pa.Table], of_left: str, of_right: str) -> str:
    """What two lists of paths do not share; both are in memory, which only a run that is refused pays for."""
    kind = pa.large_string()
    left_paths, right_paths = (
        # Text of more than 2 GiB is too much for one array of the usual kind.
        pa.chunked_array([chunk.cast(kind) for part in parts for chunk in part["path"].chunks], kind)
        for parts in (left, right)
    )
    return disagreement(left_paths, right_paths, of_left, of_right)

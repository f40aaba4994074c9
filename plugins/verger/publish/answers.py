"""A run's answers as publishing reads them: which row of the feature table answers each image, decided by featurize."""

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from verger_rules.answers import AnswersError, disagreement, has_features, join_answers

from verger.storage.layout import RunLayout


def read_answers(filesystem: pyarrow.fs.FileSystem, run: RunLayout) -> pa.Table:
    """The answers of a run, schema ANSWERS, ascending by path. Raises AnswersError."""
    folder = f"{run.answers.bucket}/{run.answers.key}"
    found = filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
    paths = sorted(file.path for file in found if file.base_name.endswith(".parquet"))
    if not paths:
        raise AnswersError(f"{run.answers.uri}/ holds none")
    try:
        return join_answers([_read(filesystem, path) for path in paths])
    except pa.ArrowInvalid as error:
        raise AnswersError(f"{run.answers.uri}/ cannot be read: {error}") from error


def _read(filesystem: pyarrow.fs.FileSystem, path: str) -> pa.Table:
    with filesystem.open_input_file(path) as stream:
        return pq.ParquetFile(stream).read()


def check_paths(answers: pa.Table, manifest: pa.Table, matrix: pa.Table) -> None:
    """Raise AnswersError unless each image of a manifest has one answer, and each with features its row of the matrix.

    All three ascend by path, and an image is known by it alone: equal counts would hide one that took another's place.
    """
    featurized = answers.filter(has_features(answers))
    for left, right, of_left, of_right in (
        (manifest["path"], answers["path"], "listed", "answered"),
        (featurized["path"], matrix["path"], "with features", "in the matrix"),
    ):
        if not left.combine_chunks().equals(right.combine_chunks()):
            raise AnswersError(disagreement(left, right, of_left, of_right))

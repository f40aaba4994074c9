"""The answers of a run: for each image of its manifest the one row that answers it, decided once by featurize.

`pca`, the list of rejects, publishing and the explorer read them and decide nothing.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from verger_rules.answering import UNANSWERED
from verger_rules.schemas import ANSWERS, ANSWERS_ROWS
from verger_rules.table_keys import Int64s, ReadColumns, TableKeys

REASONS = ("stage", "reason", "detail")


class AnswersError(ValueError):
    """A run's answers are not what they must be; the message says what is wrong."""


def make_answers(manifest: pa.Table, table: TableKeys, rows: Int64s, read: ReadColumns) -> pa.Table:
    """The answers of a manifest, schema ANSWERS, in its order.

    Args:
        manifest: schema MANIFEST.
        table: the keys that `rows` are indexes into, one for each image, as `answering_rows` gives them.
        rows: see above.
        read: reads the reasons of the rejects.

    Raises:
        AnswersError: an image has no answer.
    """
    if missing := int((rows == UNANSWERED).sum()):
        first = manifest["path"][int(np.flatnonzero(rows == UNANSWERED)[0])].as_py()
        raise AnswersError(f"{missing} of {len(rows)} images have no row in the feature table, first {first!r}")
    featurized = table.is_featurized[rows]
    names = pa.array([file.name for file in table.files], pa.string())
    of_rejects = _read_reasons(table, rows[~featurized], read)
    # Each image takes its own reject's reasons; one with features, none.
    place = pa.array(np.cumsum(~featurized) - 1, mask=featurized)
    columns = {
        **{name: manifest[name].combine_chunks() for name in ("path", "label", "etag")},
        "file": names.take(pa.array(table.file[rows], mask=~featurized)),
        "row": pa.array(table.row[rows], mask=~featurized),
        **{name: of_rejects[name].combine_chunks().take(place) for name in REASONS},
    }
    return check_answers(pa.table(columns, schema=ANSWERS), manifest["path"])


def _read_reasons(table: TableKeys, rows: Int64s, read: ReadColumns) -> pa.Table:
    """Stage, reason and detail of some rejects, in the order given."""
    wanted = np.unique(table.file[rows])
    tables = [read(table.files[int(file)].name, REASONS).select(list(REASONS)) for file in wanted]
    starts = np.cumsum([0, *(part.num_rows for part in tables)])
    empty = pa.schema([ANSWERS.field(name) for name in REASONS]).empty_table()
    together = pa.concat_tables([empty, *(part.cast(empty.schema) for part in tables)])
    return together.take(pa.array(starts[np.searchsorted(wanted, table.file[rows])] + table.row[rows], pa.int64()))


def answer_files(answers: pa.Table) -> list[pa.Table]:
    """Cut answers into files; as many for the same manifest, so that a second try writes over all of the first's."""
    return [answers.slice(start, ANSWERS_ROWS) for start in range(0, answers.num_rows, ANSWERS_ROWS)]


def has_features(answers: pa.Table) -> pa.ChunkedArray:
    """Whether each image has features; [answers]."""
    return pc.is_valid(answers["file"])


def join_answers(files: Sequence[pa.Table]) -> pa.Table:
    """The answers from their files, in order. Raises AnswersError."""
    try:
        together = pa.concat_tables([file.select(ANSWERS.names).cast(ANSWERS) for file in files])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise AnswersError(f"they do not have the columns {', '.join(ANSWERS.names)}: {error}") from error
    return check_answers(together.combine_chunks(), together["path"])


def check_answers(answers: pa.Table, paths: pa.ChunkedArray) -> pa.Table:
    """The same answers; raises AnswersError unless each of some paths, which ascend, has exactly one."""
    found = answers["path"]
    if not found.equals(paths):
        raise AnswersError(disagreement(paths, found, "listed", "answered"))
    unordered = pc.greater_equal(found.slice(0, max(0, len(found) - 1)), found.slice(1))
    if pc.any(unordered).as_py():
        first = found[pc.index(unordered, value=True).as_py() + 1].as_py()
        raise AnswersError(f"an image is answered twice or out of order, first {first!r}")
    both = pc.equal(has_features(answers), pc.is_valid(answers["stage"]))
    if pc.any(both).as_py():
        first = found[pc.index(both, value=True).as_py()].as_py()
        raise AnswersError(f"an image has features and a reason to have none, or neither, first {first!r}")
    return answers


def disagreement(left: pa.ChunkedArray, right: pa.ChunkedArray, of_left: str, of_right: str) -> str:
    """What two lists of paths do not share, in words: how many of each, and the first."""
    parts = []
    for one, other, name, other_name in ((left, right, of_left, of_right), (right, left, of_right, of_left)):
        alone = one.filter(pc.invert(pc.is_in(one, value_set=other.combine_chunks())))
        if len(alone):
            parts.append(f"{len(alone):,} {name} and not {other_name}, first {alone[0].as_py()!r}")
    return "; ".join(parts) or f"{len(left):,} {of_left}, {len(right):,} {of_right}: some twice, or in another order"

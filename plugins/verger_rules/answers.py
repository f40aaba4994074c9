"""The answers of a run: for each image of its manifest the one row that answers it, decided once by featurize.

`pca`, the list of rejects, publishing and the explorer read them and decide nothing.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from verger_rules.schemas import ANSWERS

REASONS = ("stage", "reason", "detail")


class AnswersError(ValueError):
    """A run's answers are not what they must be; the message says what is wrong."""


def answers_of(listed: pa.Table, rows: pa.Table, names: pa.Array) -> pa.Table:
    """The answers of some images, schema ANSWERS, in their order.

    Args:
        listed: the images, schema MANIFEST.
        rows: of each image what answers it: `place` of its file in `names`, `row`, `featurized`, and why not.
        names: of the table's files.
    """
    featurized = rows["featurized"]
    nothing = pa.scalar(None, pa.int64())
    columns = {
        **{name: listed[name] for name in ("path", "label", "etag")},
        "file": names.take(pc.if_else(featurized, rows["place"].cast(pa.int64()), nothing).combine_chunks()),
        "row": pc.if_else(featurized, rows["row"].cast(pa.int64()), nothing),
        **{name: rows[name] for name in REASONS},
    }
    return check_answers(pa.table(columns, schema=ANSWERS), listed["path"])


def has_features(answers: pa.Table) -> pa.ChunkedArray:
    """Whether each image has features; [answers]."""
    return pc.is_valid(answers["file"])


def as_answers(part: pa.Table) -> pa.Table:
    """Some answers with the columns that they must have. Raises AnswersError."""
    try:
        return part.select(ANSWERS.names).cast(ANSWERS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise AnswersError(f"they do not have the columns {', '.join(ANSWERS.names)}: {error}") from error


def checked_parts(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same parts, as long as they are answers whose paths ascend from each to the next. Raises AnswersError."""
    last: str | None = None
    for part in parts:
        answers = as_answers(part)
        if answers.num_rows == 0:
            continue
        first = answers["path"][0].as_py()
        if last is not None and first <= last:
            raise AnswersError(f"an image is answered twice or out of order, first {first!r}")
        last = answers["path"][-1].as_py()
        yield check_answers(answers, answers["path"])


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

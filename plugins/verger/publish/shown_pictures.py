"""What the map and the explorer show of a run: some rows of its manifest, answers and matrix, gathered in one pass."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from verger_rules.answers import has_features

from verger.publish.run_rows import RowsPart, RunRows

#: Of more rejects the explorer lists the first by path; `rejects.csv` has them all.
MOST_REJECTS = 100_000
_COMPONENT = re.compile(r"pc_\d+")
_REJECT_COLUMNS = ["path", "label", "stage", "reason", "detail"]
_REJECTS = pa.schema([(name, pa.string()) for name in _REJECT_COLUMNS])


@dataclass(frozen=True)
class ShownPictures:
    """The pictures that are shown, ascending by path.

    Attributes:
        pictures: columns path, label, bytes, change (`picture_lists.py`), and file and row of the feature table.
        components: [k, pictures], little-endian float32, in a file of this machine.
        rejects: columns path, label, stage, reason, detail.
        of_pictures, of_rejects: how many the run has.
    """

    pictures: pa.Table
    components: npt.NDArray[np.float32]
    rejects: pa.Table
    of_pictures: int
    of_rejects: int

    def points(self) -> pa.Table:
        """What a map shows of them: columns label, pc_1 and, where there are two components, pc_2."""
        scores = {f"pc_{at + 1}": column for at, column in enumerate(self.components[:2])}
        return pa.table({"label": self.pictures["label"], **scores})


def gather_shown(rows: RunRows, chosen: pa.Table, file: Path) -> ShownPictures:
    """Gather some rows of the matrix, and what belongs to them.

    Args:
        rows: of the run.
        chosen: columns number, of the row in the matrix, ascending, and change.
        file: of this machine, for the components.

    Raises AnswersError when the run's files do not fit each other.
    """
    names = [name for name in rows.columns if _COMPONENT.fullmatch(name)]
    numbers = chosen["number"].to_numpy()
    components = np.memmap(file, "<f4", "w+", shape=(len(names), len(numbers)))
    pictures, rejects, of_rejects = [], [_REJECTS.empty_table()], 0
    for part in rows.parts(["path", "label", *names]):
        start, stop = np.searchsorted(numbers, [part.first_row, part.first_row + part.matrix.num_rows])
        inside = pa.array(numbers[start:stop] - part.first_row)
        scores = part.matrix.select(names).take(inside)
        for at, column in enumerate(scores.columns):
            components[at, start:stop] = column.to_numpy()
        pictures.append(_pictures_of(part, inside))
        of_part = part.answers.filter(pc.is_valid(part.answers["stage"]))
        rejects.append(of_part.slice(0, max(0, MOST_REJECTS - of_rejects)).select(_REJECT_COLUMNS))
        of_rejects += of_part.num_rows
    together = pa.concat_tables(pictures).append_column("change", chosen["change"])
    return ShownPictures(together, components, pa.concat_tables(rejects), rows.rows, of_rejects)


def _pictures_of(part: RowsPart, inside: pa.Array) -> pa.Table:
    featurized = has_features(part.answers)
    answers = part.answers.filter(featurized).take(inside)
    listed = part.listed.filter(featurized).take(inside)
    labels: dict[str, Any] = {"path": answers["path"], "label": part.matrix["label"].take(inside)}
    return pa.table({**labels, "bytes": listed["size"].cast(pa.float64()), **{n: answers[n] for n in ("file", "row")}})

"""The counts that must agree before anybody may read a run's results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class CountsDisagreeError(RuntimeError):
    """A picture is missing or counted twice somewhere between the list and the matrix."""


@dataclass(frozen=True)
class Counts:
    """What became of the listed images, each number as another part counted it.

    Attributes:
        listed: rows of the manifest, from the plan.
        featurized: rows of the manifest with features, from pca's metrics.
        rejected: rows of the manifest that were rejected, from pca's metrics.
        matrix_rows: rows of the matrix's Parquet file itself.
        featurize_featurized: as `featurized`, from featurize's metrics.
        featurize_rejected: as `rejected`, from featurize's metrics.
    """

    listed: int
    featurized: int
    rejected: int
    matrix_rows: int
    featurize_featurized: int
    featurize_rejected: int


def collect_counts(
    plan: Mapping[str, Any], featurize: Mapping[str, Any], pca: Mapping[str, Any], matrix_rows: int
) -> Counts:
    """Take the counts out of `plan.json`, `featurize.json` and `pca.json`."""
    return Counts(
        listed=plan["listed"],
        featurized=pca["featurized"],
        rejected=pca["rejected"],
        matrix_rows=matrix_rows,
        featurize_featurized=featurize["total_featurized"],
        featurize_rejected=featurize["total_rejected"],
    )


def reconcile(counts: Counts) -> Counts:
    """Return the counts; raises CountsDisagreeError and names what does not agree."""
    pairs = (
        ("listed", counts.listed, "featurized + rejected", counts.featurized + counts.rejected),
        ("matrix rows", counts.matrix_rows, "featurized", counts.featurized),
        ("featurized by featurize", counts.featurize_featurized, "by pca", counts.featurized),
        ("rejected by featurize", counts.featurize_rejected, "by pca", counts.rejected),
    )
    wrong = [f"{left} {a:,} is not {right} {b:,}" for left, a, right, b in pairs if a != b]
    if wrong:
        raise CountsDisagreeError(
            f"the counts do not agree: {'; '.join(wrong)}. The results are not published; run again, and keep "
            "the run's folder if it happens twice"
        )
    return counts

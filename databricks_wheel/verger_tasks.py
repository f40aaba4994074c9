"""The two steps as a Databricks job calls them: the entry points of the wheel that `databricks.yml` builds."""

from spark_jobs.entry_points import featurize as featurize_entry
from spark_jobs.entry_points import pca as pca_entry


class TaskFailedError(RuntimeError):
    """A step failed; its own message stands above in the task's log."""


def featurize() -> None:
    """Task 1: the images of the manifest to rows of the feature table."""
    _check(featurize_entry.main())


def pca() -> None:
    """Task 2: the features to the matrix."""
    _check(pca_entry.main())


def _check(code: int) -> None:
    """Databricks takes a task that returns for a success, whatever it returns."""
    if code != 0:
        raise TaskFailedError(f"the step ended with exit code {code}: the reason is its last line above")

"""How long a cluster starts and ends: what this account answered when it was tried, or assumed until then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verger.storage.json_objects import read_json
from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ClusterTimes:
    """The minutes of a cluster that no step works in.

    Attributes:
        startup_minutes: from RunJobFlow until it takes steps, bootstrap action included.
        ending_minutes: from its last step's end until EMR says that it has ended.
        source: where the numbers come from, in words.
    """

    startup_minutes: float
    ending_minutes: float
    source: str

    def describe(self) -> str:
        """One line for a log."""
        return (
            f"a cluster starts in {self.startup_minutes:.1f} and ends in {self.ending_minutes:.1f} min: {self.source}"
        )


#: AWS states no figure; EMR clusters are commonly ready after five to ten minutes.
ASSUMED_TIMES = ClusterTimes(8.0, 2.0, "assumed, since tools/accept_on_aws.py has not measured it in this bucket")


def read_times(s3: "S3Client", layout: BucketLayout) -> ClusterTimes:
    """The times of the bucket's `reports/acceptance.json`; the assumed ones for what it does not hold."""
    content = read_json(s3, layout.acceptance)
    return ASSUMED_TIMES if content is None else times_of(content)


def times_of(acceptance: Mapping[str, Any]) -> ClusterTimes:
    """The times that were measured; a cluster on one machine starts in seconds, and says nothing about AWS."""
    measured: Mapping[str, Any] = acceptance.get("cluster_times") or {}
    startup, ending = (_minutes(measured.get(name)) for name in ("startup_minutes", "ending_minutes"))
    if acceptance.get("local", True) or (startup is None and ending is None):
        return ASSUMED_TIMES
    kinds = [name for name, value in (("start", startup), ("end", ending)) if value is not None]
    return ClusterTimes(
        ASSUMED_TIMES.startup_minutes if startup is None else startup,
        ASSUMED_TIMES.ending_minutes if ending is None else ending,
        f"{' and '.join(kinds)} measured on {str(acceptance.get('finished_at', ''))[:10]} by tools/accept_on_aws.py",
    )


def _minutes(value: object) -> float | None:
    """A measured number of minutes; None for anything else: somebody may have edited the file."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 24 * 60:
        return None
    return float(value)

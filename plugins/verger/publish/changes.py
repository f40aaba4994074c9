"""What changed since the run before: `changes` of `run.json` (docs/formats.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verger.storage.json_objects import read_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: The values that are set side by side, and where `run.json` holds them.
_VALUES = {
    "featurized": ("counts", "featurized"),
    "rejected": ("counts", "rejected"),
    "k": ("pca", "k"),
    "variance_reached": ("pca", "variance_reached"),
    "images_per_second": ("featurize", "images_per_second"),
    "model": ("model", "fingerprint"),
    "weights": ("model", "weights"),
    "usd": ("cost", "usd"),
    "usd_per_1000_images": ("cost", "usd_per_1000_images"),
}


@dataclass(frozen=True)
class RunBefore:
    """The run whose results were the bucket's newest until this one's.

    Attributes:
        run: its paths.
        description: its `run.json`; empty when somebody deleted it.
    """

    run: RunLayout
    description: Mapping[str, Any]


def find_run_before(s3: "S3Client", run: RunLayout) -> RunBefore | None:
    """Find the run before; None for a bucket's first.

    A run that is published again compares with the same run as the first time, though `latest.json` has moved since.
    """
    own = read_json(s3, run.result_file("run.json")) or {}
    since = (own["changes"] or {}).get("since") if "changes" in own else read_json(s3, run.layout.latest)
    if not since or since["run_id"] == run.run_id:
        return None
    before = RunLayout(run.layout, since["run_id"])
    return RunBefore(before, read_json(s3, before.result_file("run.json")) or {})


def describe_changes(
    before: RunBefore, description: Mapping[str, Any], images: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Set `run.json` beside that of the run before; what one of them does not hold is None."""
    settings_before = before.description.get("settings", {})
    settings = description.get("settings", {})
    return {
        "since": {
            "run_id": before.run.run_id,
            "slug": before.run.slug,
            "published_at": before.description.get("published_at"),
        },
        "images": dict(images) if images is not None else None,
        "values": {
            name: {"before": _value(before.description, place), "now": _value(description, place)}
            for name, place in _VALUES.items()
        },
        "settings": {
            name: {"before": settings_before[name], "now": value}
            for name, value in settings.items()
            if name in settings_before and settings_before[name] != value
        },
    }


def add_cost(description: Mapping[str, Any], cost: Mapping[str, Any]) -> dict[str, Any]:
    """`run.json` with what the run cost, which is known only when its cluster has ended."""
    whole = {**description, "cost": dict(cost)}
    changes = description.get("changes")
    if not changes:
        return whole
    values = {
        name: {**pair, "now": _value(whole, _VALUES[name])} if name in _VALUES else pair
        for name, pair in changes["values"].items()
    }
    return {**whole, "changes": {**changes, "values": values}}


def _value(description: Mapping[str, Any], place: tuple[str, str]) -> Any:  # noqa: ANN401 -- any JSON value
    outer, inner = place
    return (description.get(outer) or {}).get(inner)

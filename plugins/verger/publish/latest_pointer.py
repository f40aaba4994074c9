"""`latest.json`, which readers follow: it moves to a run planned later, and never back by itself (docs/formats.md).

Which run is newer goes by when its list of pictures was frozen, not by when it published: a run that is published
again after a newer one, because its task was cleared or it took longer, shows an older state of the bucket.
"""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from verger.storage.conditional_writes import change_json
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import BucketLayout, RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FORMAT = 1
_NEVER = datetime.min.replace(tzinfo=UTC)


def pointer_to(run: RunLayout, description: Mapping[str, Any]) -> dict[str, Any]:
    """What `latest.json` holds when it points to a run; `description` is the run's `run.json`."""
    plan = description["plan"]
    return {
        "run_id": run.run_id,
        "slug": run.slug,
        "results_uri": run.results_uri,
        "inputs_digest": plan["inputs_digest"],
        "model_fingerprint": plan["model_fingerprint"],
        "planned_at": plan.get("created_at") or description["published_at"],
        "published_at": description["published_at"],
    }


def point_forward(s3: "S3Client", run: RunLayout, description: Mapping[str, Any]) -> list[str]:
    """Point to a run whose results are whole, unless readers follow one that was planned later; then say that it stays.

    Returns warnings: none when the pointer has moved. Writes down in `published.json` that the run is published.
    """
    ours = pointer_to(run, description)
    our_time = _time(ours["planned_at"])

    def forward(there: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if there is not None and planned_time(s3, run.layout, there) > our_time else ours

    latest = change_json(s3, run.layout.latest, forward)
    mark = {"format": FORMAT, "run_id": run.run_id, "published_at": ours["published_at"]}
    write_json(s3, run.published, {**mark, "planned_at": ours["planned_at"], "latest_run_id": latest.get("run_id")})
    return [] if latest.get("run_id") == run.run_id else [_stayed(run, latest.get("run_id"))]


def planned_time(s3: "S3Client", layout: BucketLayout, pointer: Mapping[str, Any]) -> datetime:
    """When the run was planned that a pointer names; long ago where nobody can tell.

    Earlier versions wrote no `planned_at`: there the run's plan says it, or else the time at which it was published.
    """
    if "planned_at" in pointer:
        return _time(pointer["planned_at"])
    plan = read_json(s3, RunLayout(layout, pointer["run_id"]).run_file("plan.json")) if "run_id" in pointer else None
    return _time((plan or {}).get("created_at") or pointer.get("published_at"))


def is_published(s3: "S3Client", run: RunLayout) -> bool:
    """Whether a run has published, whichever run readers follow; earlier versions left only `latest.json` to say so."""
    if read_json(s3, run.published) is not None:
        return True
    latest = read_json(s3, run.layout.latest)
    return latest is not None and latest["run_id"] == run.run_id


def pointer_warnings(s3: "S3Client", run: RunLayout) -> list[str]:
    """What to tell beside the results of a run that did not move the pointer; nothing for any other."""
    followed = (read_json(s3, run.published) or {}).get("latest_run_id", run.run_id)
    return [] if followed == run.run_id else [_stayed(run, followed)]


def _stayed(run: RunLayout, followed: str | None) -> str:
    command = f"tools/point_to_run.py --bucket {run.layout.bucket} {shlex.quote(run.run_id)}"
    return (
        f"latest.json stays at the run {followed}, which was planned after this one: readers keep the newer results. "
        f"This run's are in {run.results_uri}/; to lead readers to them on purpose: {command}"
    )


def _time(text: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return _NEVER
    return found if found.tzinfo else found.replace(tzinfo=UTC)

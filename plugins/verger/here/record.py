"""What a run leaves behind of its place: `choice.json` and `here.json` below `runs/<slug>/` (docs/formats.md)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from verger.here.choice import HereWork
from verger.here.machine import architecture

HERE_FILE = "here.json"
CHOICE_FILE = "choice.json"


def here_record(
    run_id: str,
    work: HereWork,
    outcome: str,
    began: datetime,
    seconds: float,
    earlier: Mapping[str, Any] | None,
    progress: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The content of `here.json`: seconds and dollars are those of all tries.

    Args:
        run_id: of the run.
        work: how it worked.
        outcome: `done`, `cut off` or `failed`.
        began: when this try did.
        seconds: that it took.
        earlier: the record of the tries before; None at the first.
        progress: the content of `featurize.progress.json` at the end; None when it did not get that far.
    """
    total = seconds + (earlier["seconds"] if earlier else 0.0)
    return {
        "format": 1,
        "run_id": run_id,
        "outcome": outcome,
        "region": work.region,
        "processes": work.processes,
        "architecture": architecture(),
        "began_at": earlier["began_at"] if earlier else began.isoformat(timespec="seconds"),
        "tries": 1 + (earlier["tries"] if earlier else 0),
        "images": (progress or {}).get("images_done", 0),
        "images_per_second": (progress or {}).get("images_per_second", 0.0),
        "seconds": round(total, 3),
        "usd": total / 3600 * work.usd_hour,
    }

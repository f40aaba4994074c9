"""The table and `acceptance.json` (docs/formats.md)."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.acceptance.probes import Probe

_WIDTHS = (20, 36, 44, 17)
_HEAD = ("probe", "expected", "seen", "verdict")


def table(probes: Sequence[Probe]) -> str:
    """Expectations against what was seen, for a terminal."""
    rows = [_HEAD, *((probe.name, probe.expectation, probe.seen, str(probe.verdict)) for probe in probes)]
    lines = [_line(row) for row in rows]
    rule = "-+-".join("-" * width for width in _WIDTHS)
    return f"\n{rule}\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    wrapped = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, _WIDTHS, strict=True)]
    height = max(map(len, wrapped))
    padded = [column + [""] * (height - len(column)) for column in wrapped]
    return "\n".join(
        " | ".join(part.ljust(width) for part, width in zip(parts, _WIDTHS, strict=True)).rstrip()
        for parts in zip(*padded, strict=True)
    )


@dataclass(frozen=True)
class Outcome:
    """What `acceptance.json` holds beside the probes."""

    run_id: str
    slug: str
    region: str
    local: bool
    release_label: str
    instance_type: str
    parts: Sequence[str]
    started_at: str
    finished_at: str
    stopped: str | None
    budget_usd: float
    estimated_usd: float
    usd: float
    startup_minutes: float | None
    ending_minutes: float | None
    clusters: Sequence[str]

    def to_dict(self, probes: Sequence[Probe]) -> dict[str, Any]:
        """The whole file."""
        return {
            "format": 1,
            "run_id": self.run_id,
            "slug": self.slug,
            "region": self.region,
            "local": self.local,
            "release_label": self.release_label,
            "instance_type": self.instance_type,
            "parts": list(self.parts),
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "stopped": self.stopped,
            "budget_usd": self.budget_usd,
            "estimated_usd": self.estimated_usd,
            "usd": self.usd,
            "cluster_times": {"startup_minutes": self.startup_minutes, "ending_minutes": self.ending_minutes},
            "clusters": list(self.clusters),
            "probes": [probe.to_dict() for probe in probes],
        }

"""The clusters that nobody ends: one that is forgotten, and one whose nodes have a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.acceptance.keeper import WaitError, minutes_between, reason_of
from tools.acceptance.orders import CLOCK_MINUTES, FORGOTTEN_IDLE_MINUTES, Part

if TYPE_CHECKING:
    from tools.acceptance.orders import Planned
    from tools.acceptance.trial import Trial

#: How much later than it should a cluster may end by itself before it is ended: EMR looks for idle ones now and then.
_PATIENCE_MINUTES = 15


class OwnEndPart:
    """A cluster without a step, which has to end by itself."""

    def __init__(self, trial: Trial, planned: Planned) -> None:
        self.trial, self.planned = trial, planned
        if planned.part is Part.FORGOTTEN:
            name, minutes = "forgotten cluster", FORGOTTEN_IDLE_MINUTES
            expectation = f"EMR ends it after {minutes} idle min, without an error"
        else:
            name, minutes = "nodes' own clock", CLOCK_MINUTES
            expectation = f"`shutdown -h +{minutes}` on the nodes ends machines and cluster, though it is not idle long"
        self.minutes = minutes
        self.probe = trial.probe(name, expectation, only_aws=planned.part is Part.CLOCK)

    def answer(self) -> None:
        """Create it and look on; raises Stopped."""
        keeper = self.trial.keeper
        with self.probe.attempt():
            cluster_id = self.trial.create(self.planned)
            self.probe.evidence["cluster"] = cluster_id
            try:
                self.trial.wait_until_ready(cluster_id)
            except WaitError:
                if self.planned.part is Part.FORGOTTEN:
                    raise
                # A start that takes as long as the clock runs is ended by it, too.
            cluster = keeper.wait_until_over(cluster_id, (self.minutes + _PATIENCE_MINUTES) * 60)
            timeline = cluster["Status"]["Timeline"]
            since, word = ("ReadyDateTime", "ready") if "ReadyDateTime" in timeline else ("CreationDateTime", "created")
            minutes = minutes_between(timeline[since], timeline["EndDateTime"])
            seen = f"{reason_of(cluster)}, {minutes:.1f} min after it was {word}"
            self.probe.tell(seen, good=self._is_expected(cluster["Status"]))

    def _is_expected(self, status: dict[str, Any]) -> bool:
        """An idle end is a clean one; the loss of the primary node is not."""
        clean: bool = status["State"] == "TERMINATED"
        if self.planned.part is Part.FORGOTTEN:
            return clean
        code: str = status["StateChangeReason"].get("Code", "")
        return not clean and code == "INSTANCE_FAILURE"

"""Expectations, and what was seen of each."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

log = logging.getLogger(__name__)


class Verdict(enum.StrEnum):
    """What an expectation came to."""

    AS_EXPECTED = "as expected"
    DIFFERENT = "different"
    ONLY_AWS = "only AWS can tell"
    NOT_REACHED = "not reached"


class Stopped(BaseException):
    """Everything ends here: somebody interrupted the program, or its budget is used up. No error to carry on after."""


class OverBudgetError(ValueError):
    """What is planned could cost more than the budget: it was not created."""


@dataclass
class Probe:
    """One expectation.

    Attributes:
        name: a few words.
        expectation: what AWS's documentation or this project's own settings lead one to expect.
        only_aws: whether the EMR of one machine cannot answer it, only be asked.
        local: whether it was an EMR of one machine that answered.
        seen: what was seen, in words.
        verdict: what that comes to.
        evidence: ids and addresses to look at, by name.
    """

    name: str
    expectation: str
    only_aws: bool
    local: bool
    seen: str = "nothing: the program did not get that far"
    verdict: Verdict = Verdict.NOT_REACHED
    evidence: dict[str, str] = field(default_factory=dict)

    def tell(self, seen: str, *, good: bool, **evidence: str) -> None:
        """Set what was seen; `good` is whether it is what was expected."""
        self.seen = seen
        self.evidence |= evidence
        if not good:
            self.verdict = Verdict.DIFFERENT
        else:
            self.verdict = Verdict.ONLY_AWS if self.local and self.only_aws else Verdict.AS_EXPECTED
        log.info("%s: %s: %s", self.name, self.verdict, seen)

    def not_reached(self, why: str) -> None:
        """Say why nothing was seen, unless something was."""
        if self.verdict is Verdict.NOT_REACHED:
            self.seen = f"nothing: {why}"

    def attempt(self) -> Attempt:
        """Take an error of the body as what was seen, so that the other probes go on; Stopped passes."""
        return Attempt(self)

    def to_dict(self) -> dict[str, Any]:
        """The probe as `acceptance.json` holds it."""
        return {
            "name": self.name,
            "expectation": self.expectation,
            "seen": self.seen,
            "verdict": str(self.verdict),
            "evidence": dict(self.evidence),
        }


class Attempt:
    """A context in which an error is an answer as well."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        """Tell the error; whether it ends here."""
        if not isinstance(error, Exception):
            return False
        if isinstance(error, OverBudgetError):
            self._probe.not_reached(str(error))
        else:
            log.debug("%s", self._probe.name, exc_info=error)
            self._probe.tell(f"{type(error).__name__}: {' '.join(str(error).split())}", good=False)
        return True

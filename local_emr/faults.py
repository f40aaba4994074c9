"""The faults that a local EMR can be told to have: what they are, and which are still to strike."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class FaultKind(StrEnum):
    """What goes wrong (README.md of this folder says what each looks like from outside)."""

    NO_CAPACITY = "no_capacity"
    BOOTSTRAP_FAILURE = "bootstrap_failure"
    STEP_CRASH = "step_crash"
    STEP_HANG = "step_hang"
    NODE_LOST = "node_lost"
    WORKER_LOST = "worker_lost"
    SPOT_INTERRUPTION = "spot_interruption"
    API_THROTTLED = "api_throttled"
    API_ERROR = "api_error"
    ANSWER_LOST = "answer_lost"
    ANSWER_SLOW = "answer_slow"
    TAGS_LAG = "tags_lag"
    TERMINATION_SLOW = "termination_slow"
    TERMINATION_LOST = "termination_lost"


#: They strike while a step runs.
OF_STEPS = frozenset(
    {
        FaultKind.STEP_CRASH,
        FaultKind.STEP_HANG,
        FaultKind.NODE_LOST,
        FaultKind.WORKER_LOST,
        FaultKind.SPOT_INTERRUPTION,
    }
)
#: They strike a core or task node, which is there under YARN only.
OF_WORKERS = frozenset({FaultKind.WORKER_LOST, FaultKind.SPOT_INTERRUPTION})
_OF_CALLS = {FaultKind.API_THROTTLED, FaultKind.API_ERROR, FaultKind.ANSWER_LOST, FaultKind.ANSWER_SLOW}
_WITH_SECONDS = {FaultKind.ANSWER_SLOW, FaultKind.TAGS_LAG, FaultKind.TERMINATION_SLOW}
_EVERYTHING = "*"


@dataclass(frozen=True)
class Fault:
    """One fault; patterns are the shell's (`*`, `?`, `[...]`) and must match the whole name.

    Attributes:
        fault: What goes wrong.
        cluster: The id or name of the clusters that have it.
        times: How often it strikes.
        step: Of the kinds that strike a step: the step's name.
        after_seconds: Of these, how long the step has run.
        after_output: Of these, a text that the step must have written to stdout or stderr by then.
        operation: Of the kinds that strike a call: the operation's name.
        seconds: Of the kinds that are slow: by how much.
    """

    fault: FaultKind
    cluster: str = _EVERYTHING
    times: int = 1
    step: str = _EVERYTHING
    after_seconds: float = 0.0
    after_output: str = ""
    operation: str = _EVERYTHING
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what would never strike, or not as somebody thinks."""
        if self.times < 1:
            raise ValueError(f"times is {self.times}: it must be at least 1")
        if self.after_seconds < 0:
            raise ValueError(f"after_seconds is {self.after_seconds}: it must not be negative")
        if (self.seconds > 0) != (self.fault in _WITH_SECONDS):
            need = "a number above 0" if self.fault in _WITH_SECONDS else "none"
            raise ValueError(f"seconds is {self.seconds}: {self.fault} takes {need}")
        meant = {
            "step": OF_STEPS, "after_seconds": OF_STEPS, "after_output": OF_STEPS, "operation": _OF_CALLS,
        }  # fmt: skip
        for field in fields(self):
            kinds = meant.get(field.name)
            if kinds is not None and self.fault not in kinds and getattr(self, field.name) != field.default:
                raise ValueError(f"{field.name} means nothing for {self.fault}")

    @classmethod
    def from_request(cls, values: object) -> Fault:
        """The fault that an object of JSON describes; ValueError says what is wrong with it."""
        if not isinstance(values, dict):
            raise ValueError(f"{values!r} is no object")  # noqa: TRY004 - the caller catches one kind
        known = {field.name: type(field.default) for field in fields(cls) if field.name != "fault"}
        if unknown := values.keys() - known.keys() - {"fault"}:
            raise ValueError(f"{', '.join(sorted(unknown))}: there are fault, {', '.join(known)}")
        if values.get("fault") not in list(FaultKind):
            raise ValueError(f"fault is {values.get('fault')!r}: choose one of {', '.join(FaultKind)}")
        typed = {name: _typed(name, values[name], kind) for name, kind in known.items() if name in values}
        return cls(fault=FaultKind(values["fault"]), **typed)

    def concerns(self, kinds: Iterable[FaultKind], clusters: Iterable[str], **names: str) -> bool:
        """Whether it is of one of these kinds and strikes a cluster of one of these names, and a step or operation."""
        return (
            self.fault in kinds
            and (self.cluster == _EVERYTHING or any(fnmatchcase(cluster, self.cluster) for cluster in clusters))
            and all(fnmatchcase(name, getattr(self, field)) for field, name in names.items())
        )


def _typed(name: str, value: Any, kind: type) -> Any:  # noqa: ANN401 - a value of any field
    accepted = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or isinstance(value, bool):
        word = {int: "a whole number", float: "a number", str: "a text"}[kind]
        raise ValueError(f"{name} is {value!r}: it must be {word}")  # noqa: TRY004 - as above
    return kind(value)


class Faults:
    """The faults of one server, in the order in which they were asked for; safe to share between threads."""

    def __init__(self) -> None:
        """None yet."""
        self._lock = threading.Lock()
        self._armed: list[tuple[Fault, int]] = []

    def arm(self, faults: Iterable[Fault]) -> None:
        """Have these faults from now on."""
        with self._lock:
            self._armed += [(fault, 0) for fault in faults]

    def clear(self) -> None:
        """Have no more faults; one that strikes already goes on."""
        with self._lock:
            self._armed.clear()

    def take(self, *kinds: FaultKind, clusters: Iterable[str] = (), **names: str) -> Fault | None:
        """The first fault that now strikes (see `Fault.concerns`), counted as having struck; none if none does."""
        known = list(clusters)
        with self._lock:
            for place, (fault, struck) in enumerate(self._armed):
                if struck < fault.times and fault.concerns(kinds, known, **names):
                    self._armed[place] = (fault, struck + 1)
                    return fault
        return None

    def describe(self) -> list[Mapping[str, Any]]:
        """Every fault with how often it has struck."""
        with self._lock:
            return [{**asdict(fault), "struck": struck} for fault, struck in self._armed]

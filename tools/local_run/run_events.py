"""What the process that runs the DAG tells the one that watches it: JSON, one event a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class RunKnown:
    """The run is about to start: its tasks, in the order of the DAG."""

    run_id: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class TaskChanged:
    """A task has a new state, Airflow's word for it, since `at` (seconds since 1970)."""

    task: str
    state: str
    at: float
    attempt: int = 1
    error: str = ""


@dataclass(frozen=True)
class RunEnded:
    """The run is over; the states of all its tasks, those that never ran as well."""

    state: str
    tasks: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRefused:
    """There was no run: the DAG could not be loaded, or the like."""

    error: str


Event = RunKnown | TaskChanged | RunEnded | RunRefused
_KINDS = {"run_known": RunKnown, "task_changed": TaskChanged, "run_ended": RunEnded, "run_refused": RunRefused}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def format_event(event: Event) -> str:
    """One line, without its end."""
    return json.dumps({"event": _NAMES[type(event)], **asdict(event)})


def parse_event(line: str) -> Event:
    """What format_event wrote. Raises ValueError for anything else."""
    try:
        values = json.loads(line)
        kind = _KINDS[values.pop("event")]
        if kind is RunKnown:
            values["tasks"] = tuple(values["tasks"])
        event: Event = kind(**values)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{line[:200]!r} is no event of a run: {error!r}") from None
    return event

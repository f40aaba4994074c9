"""The pool of runs on this machine is there before a task asks for it."""

import pytest
from verger.here import machine_pool
from verger.here.machine_pool import MachinePool


class Job:
    """What Airflow's services show a listener when they start: a `Job` that does not know yet which it is."""


class TaskRunnerMarker:
    """What a task shows."""


@pytest.mark.parametrize(("component", "made"), [(Job(), 1), (TaskRunnerMarker(), 0)])
def test_airflow_s_services_make_it_and_tasks_do_not(
    monkeypatch: pytest.MonkeyPatch, component: object, made: int
) -> None:
    """That a real scheduler calls it so, `make test-stack` shows: a run works there."""
    calls: list[None] = []
    monkeypatch.setattr(machine_pool, "make_pool", lambda: calls.append(None))
    MachinePool().on_starting(component)
    assert len(calls) == made

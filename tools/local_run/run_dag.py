"""Runs the DAG `fruits_features` once, in this process, and tells on its standard output how it goes (run_events).

    python -m tools.local_run.run_dag --start-file FILE

The file, JSON, is waited for while Airflow is loaded, and deleted: `conf` has the run's parameters, `environment` has
variables that were not known before, the addresses of servers for example.

Airflow's own log goes to standard error. Exit code: 0 when the run succeeded, 1 when it failed, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tools.local_run.run_events import Event, RunEnded, RunKnown, RunRefused, TaskChanged, format_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from airflow.sdk import DAG
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

DAG_ID = "fruits_features"
LOOK_SECONDS = 0.05
#: What interrupts the run. Not SIGTERM: Airflow takes that for itself while a task runs, and ends only the task.
STOP_SIGNAL = signal.SIGUSR1


def take_over_stdout() -> TextIO:
    """Returns the standard output for our events alone; what others print goes to standard error from here on."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1)
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


def one_line(error: str | BaseException | None) -> str:
    """The first line of an error that says something."""
    text = str(error or "")
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first or (type(error).__name__ if isinstance(error, BaseException) else "no reason was given")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--start-file", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    output = take_over_stdout()

    def emit(event: Event) -> None:
        print(format_event(event), file=output)

    signal.signal(STOP_SIGNAL, _interrupt)
    try:
        dag = load_dag()
    except LookupError as error:
        emit(RunRefused(one_line(error)))
        return 1
    end_leftover_runs()
    try:
        start = wait_for(arguments.start_file)
        os.environ.update(start["environment"])
        return run(dag, start["conf"], emit)
    except KeyboardInterrupt:
        end_leftover_runs()
        return 130


def wait_for(file: Path) -> dict[str, Any]:
    """The content of a JSON file as soon as it is there; it is deleted, for it may hold keys."""
    while not file.exists():
        time.sleep(LOOK_SECONDS)
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    file.unlink()
    return content


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def load_dag() -> DAG:
    """The DAG as the configured DAG folder has it. Raises LookupError with the reason when it does not load."""
    from airflow import settings  # noqa: PLC0415 (takes seconds, and the arguments are checked first)
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415

    bag = DagBag(settings.DAGS_FOLDER)
    dag: DAG | None = bag.dags.get(DAG_ID)
    if dag is None:
        reasons = "; ".join(str(error).strip().splitlines()[-1] for error in bag.import_errors.values())
        raise LookupError(f"the DAG {DAG_ID} is not in {settings.DAGS_FOLDER}: {reasons or 'no file defines it'}")
    return dag


def run(dag: DAG, conf: dict[str, Any], emit: Callable[[Event], None]) -> int:
    """Runs the DAG and emits its events. Returns the exit code."""
    from airflow.sdk.exceptions import ParamValidationError  # noqa: PLC0415
    from airflow.sdk.listener import get_listener_manager  # noqa: PLC0415

    tasks = tuple(task.task_id for task in dag.topological_sort())  # type: ignore[no-untyped-call] # Airflow's
    get_listener_manager().add_listener(task_listener(emit, tasks))  # type: ignore[no-untyped-call] # Airflow's
    try:
        result = dag.test(run_conf=conf)
    except ParamValidationError as error:
        # What the trigger form refuses as well: no run came into being.
        emit(RunRefused(one_line(error)))
        return 1
    states = {ti.task_id: _word(ti.state) for ti in result.get_task_instances()}
    emit(RunEnded(_word(result.state), states))
    return 0 if _word(result.state) == "success" else 1


def _word(state: object) -> str:
    """Airflow's states are enums in one place and strings in another."""
    return str(getattr(state, "value", state) or "none")


def task_listener(emit: Callable[[Event], None], tasks: tuple[str, ...]) -> object:
    """A listener, in Airflow's sense, that emits what happens to tasks."""
    from airflow.listeners import hookimpl  # noqa: PLC0415

    class TaskListener:
        """Airflow calls these in the process that runs the task, which is ours."""

        def __init__(self) -> None:
            self.known = False

        def tell(self, ti: RuntimeTaskInstance, state: str, error: str = "") -> None:
            if not self.known:
                self.known = True
                emit(RunKnown(ti.run_id, tasks))
            emit(TaskChanged(ti.task_id, state, time.time(), ti.try_number, error))

        @hookimpl
        def on_task_instance_running(self, task_instance: RuntimeTaskInstance) -> None:
            self.tell(task_instance, "running")

        @hookimpl
        def on_task_instance_success(self, task_instance: RuntimeTaskInstance) -> None:
            self.tell(task_instance, "success")

        @hookimpl
        def on_task_instance_skipped(self, task_instance: RuntimeTaskInstance) -> None:
            self.tell(task_instance, "skipped")

        @hookimpl
        def on_task_instance_failed(
            self, task_instance: RuntimeTaskInstance, error: str | BaseException | None
        ) -> None:
            self.tell(task_instance, _word(task_instance.state), one_line(error))

    return TaskListener()


def end_leftover_runs() -> None:
    """Marks runs that an interrupted demo left `running` as failed, so that no scheduler ever resumes them."""
    from airflow.models.dagrun import DagRun  # noqa: PLC0415
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from airflow.utils.state import DagRunState, TaskInstanceState  # noqa: PLC0415
    from sqlalchemy import or_, select, update  # noqa: PLC0415

    with create_session() as session:
        left = select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.state == DagRunState.RUNNING)
        for dag_run in session.scalars(left):
            dag_run.state = DagRunState.FAILED
            unfinished = or_(
                TaskInstance.state.is_(None),
                TaskInstance.state.not_in(["success", "failed", "skipped", "upstream_failed", "removed"]),
            )
            session.execute(
                update(TaskInstance)
                .where(TaskInstance.dag_id == DAG_ID, TaskInstance.run_id == dag_run.run_id, unfinished)
                .values(state=TaskInstanceState.FAILED)
            )


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is committed and told; taking Airflow's in-process API server down in good order takes seconds.
    os._exit(exit_code)

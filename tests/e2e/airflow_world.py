"""A whole Airflow of a test's own, of real processes that can be killed, and its REST API."""

import contextlib
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_emr import process_table
from tests.e2e.fault_rows import wait_until
from tests.e2e.installation import Verger
from tools import local_stack
from tools.local_run import airflow_services, processes
from tools.local_run.airflow_services import SERVICES, service_environment

DAG = "fruits_features"
#: What a death takes with it: whoever runs tasks, and whoever waits for them.
SCHEDULER_AND_WORKERS = ("scheduler", "triggerer")
#: So that the death of a scheduler is noticed in seconds, not in minutes.
IMPATIENT = {
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
}
ENDED = ("success", "failed")


@dataclass
class Airflow:
    """Airflow's services on this machine; what is told to start or die does so as a process."""

    verger: Verger
    port: int
    environment: Mapping[str, str]
    logs: Path
    servers: dict[str, processes.Server]

    def start(self, *names: str) -> None:
        """Start these services and wait until all are well."""
        for name in names:
            log = self.logs / f"{name}-{len(list(self.logs.glob(f'{name}-*')))}.log"
            self.servers[name] = airflow_services.start(name, self.verger.home.python, self.environment, log)
        wait_until(lambda: not airflow_services.unwell(airflow_services.read_health(self.port)), 240, "Airflow is well")

    def kill(self, *names: str) -> None:
        """SIGKILL to these services and to every process that they have started, tasks as well."""
        table = process_table.processes()
        for name in names:
            server = self.servers.pop(name)
            below = process_table.descendants(server.process.pid, table)
            process_table.send([server.process.pid, *below], signal.SIGKILL)
            server.stop()

    def stop(self) -> None:
        """End what still runs."""
        for server in self.servers.values():
            server.stop()
        self.servers.clear()

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call of Airflow's REST API, below the DAG."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/auth/token", timeout=30) as answer:
            token = json.load(answer)["access_token"]
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v2/dags/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                content: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return content

    def trigger(self, dag: str = DAG, **conf: Any) -> str:
        """Start a run, one of fruits_features on a cluster unless it says otherwise; its id."""
        conf = ({"compute": "cluster"} if dag == DAG else {}) | conf
        run_id: str = self.call("POST", f"{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]
        return run_id

    def state(self, run_id: str, dag: str = DAG) -> str:
        """The state of a run."""
        state: str = self.call("GET", f"{dag}/dagRuns/{run_id}")["state"]
        return state

    def tasks(self, run_id: str) -> dict[str, str]:
        """The states of a run's tasks."""
        found = self.call("GET", f"{DAG}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"]
        return {task["task_id"]: str(task["state"]) for task in found}

    def finish(self, run_id: str, seconds: float = 420, dag: str = DAG) -> str:
        """Wait until a run is over; its state."""
        wait_until(lambda: self.state(run_id, dag) in ENDED, seconds, f"{run_id} is over", pause=1)
        return self.state(run_id, dag)

    def reach(self, run_id: str, is_there: Callable[[dict[str, str]], bool], what: str, seconds: float = 240) -> None:
        """Wait until a run's tasks are as wished."""
        wait_until(lambda: is_there(self.tasks(run_id)), seconds, f"{run_id}: {what}")

    def pause_below(self, name: str) -> Callable[[], None]:
        """SIGSTOP to the processes that a service has started, and not to itself; what is returned lets them go on."""
        below = process_table.descendants(self.servers[name].process.pid, process_table.processes())
        assert below, f"{name} has no process of its own"
        process_table.send(below, signal.SIGSTOP)
        return lambda: process_table.send(below, signal.SIGCONT)

    def mark_task(self, run_id: str, task: str, state: str, *, downstream: bool = False) -> None:
        """What a person does with the button `mark as` of a task."""
        body = {"new_state": state, "include_downstream": downstream}
        self.call("PATCH", f"{DAG}/dagRuns/{run_id}/taskInstances/{task}", body)

    def mark_run(self, run_id: str, state: str) -> None:
        """The same of a run."""
        self.call("PATCH", f"{DAG}/dagRuns/{run_id}", {"state": state})

    def clear_task(self, run_id: str, task: str) -> None:
        """What a person does with the button `clear` of a task, those after it included."""
        body = {
            "dry_run": False, "dag_run_id": run_id, "task_ids": [task], "only_failed": False,
            "include_downstream": True,
        }  # fmt: skip
        self.call("POST", f"{DAG}/clearTaskInstances", body)


@contextlib.contextmanager
def running(verger: Verger) -> Iterator[Airflow]:
    """Airflow's services for as long as the context is open."""
    port, execution_port = airflow_services.free_port(), airflow_services.free_port()
    environment = {
        **local_stack.cleared(os.environ),
        **verger.stack.environment,
        **verger.home.environment(),
        **service_environment(port, execution_port, verger.home.home / "passwords.json"),
        **IMPATIENT,
        **verger.variables,
    }
    logs = verger.folder / "services"
    logs.mkdir()
    airflow = Airflow(verger, port, environment, logs, {})
    try:
        airflow.start(*SERVICES)
        wait_until(lambda: _knows_the_dag(airflow), 120, "the DAG is known")
        yield airflow
    finally:
        airflow.stop()


def _knows_the_dag(airflow: Airflow) -> bool:
    with contextlib.suppress(AssertionError):
        return bool(airflow.call("GET", DAG)["dag_id"])
    return False

"""Airflow's REST API, as far as the tests use it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from tests.stack.compose_project import wait_for

DAG = "fruits_features"
ENDED = {"success", "failed"}


@dataclass
class AirflowApi:
    """A client that logs in when it must: `address` without `/` at its end."""

    address: str
    user: str
    password: str
    _token: str = field(default="", init=False, repr=False)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request; the answer's JSON."""
        if not self._token:
            login = {"username": self.user, "password": self.password}
            self._token = self._send("POST", "/auth/token", login)["access_token"]
        return self._send(method, f"/api/v2{path}", body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(  # noqa: S310 - the address is the test's own
            self.address + path,
            data=json.dumps(body).encode() if body is not None else None,
            headers=headers,
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:  # noqa: S310 - the same
                return json.load(answer)
        except urllib.error.HTTPError as error:
            error.add_note(f"{method} {path}: {error.read(2000).decode(errors='replace')}")
            raise

    def trigger(self, **conf: Any) -> str:
        """Starts a run; returns its id."""
        run_id: str = self.call("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]
        return run_id

    def runs(self) -> list[dict[str, Any]]:
        """The runs, the newest first."""
        found: list[dict[str, Any]] = self.call("GET", f"/dags/{DAG}/dagRuns?order_by=-run_after&limit=100")["dag_runs"]
        return found

    def tasks(self, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run."""
        path = f"/dags/{DAG}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances?limit=100"
        return {task["task_id"]: task["state"] for task in self.call("GET", path)["task_instances"]}

    def last_try(self, run_id: str, task_id: str) -> int:
        """The number of a task's last try."""
        path = f"/dags/{DAG}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances/{task_id}"
        number: int = self.call("GET", path)["try_number"]
        return number

    def log(self, run_id: str, task_id: str) -> str:
        """The log of a task's last try, a line an event."""
        number = self.last_try(run_id, task_id)
        path = f"/dags/{DAG}/dagRuns/{urllib.parse.quote(run_id)}/taskInstances/{task_id}/logs/{number}"
        return "\n".join(line if isinstance(line, str) else str(line.get("event")) for line in self._log_lines(path))

    def _log_lines(self, path: str) -> list[Any]:
        lines: list[Any] = self.call("GET", f"{path}?full_content=true")["content"]
        return lines

    def state(self, run_id: str) -> str:
        """The state of a run."""
        return str(self.call("GET", f"/dags/{DAG}/dagRuns/{urllib.parse.quote(run_id)}")["state"])

    def wait_for_task(self, run_id: str, task_id: str, states: set[str], seconds: float) -> str:
        """Waits until a task is in one of the states, and returns which; fails when the run ends before."""

        def look() -> str | None:
            state = self.tasks(run_id).get(task_id)
            assert state in states or self.state(run_id) not in ENDED, f"the run is over: {self.tasks(run_id)}"
            return state if state in states else None

        return str(wait_for(look, seconds, lambda: str(self.tasks(run_id))))

    def wait_for_end(self, run_id: str, seconds: float) -> str:
        """Waits until a run is over, whatever is down meanwhile, and returns its state."""

        def look() -> str | None:
            try:
                state = self.state(run_id)
            except (OSError, ValueError, KeyError):  # a service of the stack is just being started again
                return None
            return state if state in ENDED else None

        return str(wait_for(look, seconds, lambda: str(self.tasks(run_id)), pause=1))

"""Airflow's services as processes beside us: UI and REST API, the tasks' own API, scheduler, DAG processor, triggerer.

`airflow standalone` does the same, but leaves them running when it is ended by anything but Ctrl-C, and it serves both
APIs from one process. On SQLite that process can block itself: it writes its audit log in its event loop and waits for
the one write that SQLite lets through, which a task's request holds that needs the same event loop to end. So the
tasks have a server of their own, as Airflow offers it (`api-server --apps`).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.local_run import processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tools.local_run.airflow_home import AirflowHome

#: What each service is started with, behind `airflow`. The servers first: the others ask them. A task's log is a file
#: of this machine, so nobody serves it: Airflow's servers of logs listen to the whole network.
COMMANDS = {
    "api-server": ("api-server", "--apps", "core"),
    "execution-api": ("api-server", "--apps", "execution"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
SERVICES = tuple(COMMANDS)
USER = "verger"
READY_SECONDS = 180.0
LOOK_SECONDS = 0.5
AUTH_MANAGER = "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"


@dataclass(frozen=True)
class Login:
    """Where the UI is, and whom it lets in."""

    url: str
    user: str
    password: str


@dataclass(frozen=True)
class Services:
    """The running services."""

    login: Login
    servers: Mapping[str, processes.Server]

    def ended(self) -> processes.Server | None:
        """A service that has ended by itself, if there is one."""
        return next((server for server in self.servers.values() if server.process.poll() is not None), None)


def check_port(port: int) -> None:
    """Raises ServerError when something listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise processes.ServerError(
                f"port {port} of this machine cannot be used ({error.strerror}): choose another with PORT=..."
            ) from None


def keep_password(file: Path) -> str:
    """The password of the UI's user: made once, in a file that only its owner can read, where Airflow looks for it."""
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
        return str(json.loads(file.read_text("utf-8"))[USER])
    password = secrets.token_urlsafe(15)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps({USER: password}), "utf-8")
    return password


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start(name: str, python: Path, environment: Mapping[str, str], log: Path) -> processes.Server:
    """Starts a service, by its name in SERVICES, in the environment that `service_environment` is part of."""
    command = [str(python), "-m", "airflow", *COMMANDS[name]]
    if name == "execution-api":
        address = urllib.parse.urlsplit(environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])
        command += ["--port", str(address.port)]
    return processes.start(f"Airflow's {name}", command, environment, log)


def service_environment(port: int, execution_port: int, passwords: Path) -> dict[str, str]:
    """What the services need to find one another and to trust one another, as Airflow's settings."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGER,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{execution_port}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(48),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
        # Longer than a worker needs to leave (plugins/verger/cluster/triggers.py).
        "VERGER_POLL_SECONDS": "3",
        # A run that the last Ctrl-C interrupted goes on half a minute after the next start; the default is five.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    }


@contextlib.contextmanager
def running(home: AirflowHome, environment: Mapping[str, str], port: int, logs: Path) -> Iterator[Services]:
    """Runs the services for as long as the context is open, from when all are well. Raises ServerError."""
    check_port(port)
    passwords = home.home / "passwords.json"
    login = Login(f"http://localhost:{port}", USER, keep_password(passwords))
    execution_port = free_port()
    variables = {**environment, **home.environment(), **service_environment(port, execution_port, passwords)}
    servers: dict[str, processes.Server] = {}
    try:
        for name in SERVICES:
            servers[name] = start(name, home.python, variables, logs / f"{name}.log")
        services = Services(login, servers)
        _wait(services, port, execution_port)
        yield services
    finally:
        with ThreadPoolExecutor(len(SERVICES)) as threads:
            for server in servers.values():
                threads.submit(server.stop)


def _wait(services: Services, port: int, execution_port: int) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if (ended := services.ended()) is not None:
            last = processes.last_line(ended.log.read_text("utf-8", errors="replace"))
            raise processes.ServerError(f"{ended.name} ended when it was started: {last} (log: {ended.log})")
        if unwell(read_health(port)) == [] and tasks_are_served(execution_port):
            return
        time.sleep(LOOK_SECONDS)
    logs = os.path.commonpath([server.log for server in services.servers.values()])
    raise processes.ServerError(
        f"Airflow was not ready after {READY_SECONDS:.0f} s: {', '.join(unwell(read_health(port)))} (logs: {logs})"
    )


def read_health(port: int) -> dict[str, Any]:
    """What the API server says about the others; empty when it does not answer."""
    return _read_json(f"http://127.0.0.1:{port}/api/v2/monitor/health")


def tasks_are_served(execution_port: int) -> bool:
    """Whether the tasks' own API answers."""
    return bool(_read_json(f"http://127.0.0.1:{execution_port}/execution/health"))


def _read_json(address: str) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 -- of this machine, above
            content: dict[str, Any] = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return {}
    return content


def unwell(health: Mapping[str, Any]) -> list[str]:
    """The components that are not well, by Airflow's names."""
    names = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return [name for name in names if (health.get(name) or {}).get("status") != "healthy"]

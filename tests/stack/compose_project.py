"""A compose project of the tests' own: its commands, its containers, its processes."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

Found = TypeVar("Found")


@dataclass(frozen=True)
class ComposeProject:
    """The project's name, the folder of its docker-compose.yaml, and the variables that it is started with."""

    name: str
    folder: Path
    variables: Mapping[str, str]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `docker compose` and returns what it said; a failure shows its last words."""
        done = subprocess.run(
            ["docker", "compose", "--ansi", "never", "--project-name", self.name, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"docker compose {' '.join(arguments)}:\n{done.stderr[-4000:]}"
        return done

    def up(self) -> None:
        """Builds what has changed, starts everything and waits until all is well; a failure shows the last logs."""
        done = self.run("up", "--detach", "--wait", check=False)
        if done.returncode:
            logs = self.run("logs", "--no-color", "--tail", "15", check=False).stdout
            states = self.run("ps", "--all", check=False).stdout
            pytest.fail(f"docker compose up --detach --wait:\n{done.stderr[-3000:]}\n{states}\n{logs}")

    def down(self, *options: str) -> None:
        """Stops everything and removes the containers."""
        self.run("down", "--timeout", "20", *options)

    def containers(self, *, everything: bool = False) -> dict[str, dict[str, Any]]:
        """What the engine says about each service's container (`docker inspect`)."""
        ids = self.run("ps", "--quiet", *(["--all"] if everything else [])).stdout.split()
        if not ids:
            return {}
        described = json.loads(docker("inspect", *ids))
        return {entry["Config"]["Labels"]["com.docker.compose.service"]: entry for entry in described}

    def kill(self, service: str) -> str:
        """Kills a service's first process from outside, as the kernel would; returns the container's id.

        Not by `docker kill`: the engine takes that for a person's wish and does not start the container again.
        """
        container = self.containers()[service]
        try:
            os.kill(container["State"]["Pid"], signal.SIGKILL)
        except (PermissionError, ProcessLookupError):  # another person's engine, or one in a virtual machine
            self.run("exec", "-T", service, "sh", "-c", "kill -9 -1", check=False)
        return str(container["Id"])

    def wait_until_well(self, seconds: float) -> None:
        """Waits until every server is healthy."""

        def all_well() -> bool:
            states = [entry["State"] for entry in self.containers().values()]
            return bool(states) and all(state.get("Health", {}).get("Status") == "healthy" for state in states)

        wait_for(all_well, seconds, lambda: f"not well: {self.run('ps', '--all').stdout}")

    def left_over(self) -> list[str]:
        """Containers, volumes and networks that carry the project's name."""
        label = f"label=com.docker.compose.project={self.name}"
        return [
            *docker("ps", "--all", "--quiet", "--filter", label).split(),
            *docker("volume", "ls", "--quiet", "--filter", label).split(),
            *docker("network", "ls", "--quiet", "--filter", label).split(),
        ]


def docker(*arguments: str) -> str:
    """Runs `docker` and returns what it said."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_for(
    look: Callable[[], Found], seconds: float, complaint: Callable[[], str] = lambda: "", *, pause: float = 0.5
) -> Found:
    """Looks until there is something to see, and returns it."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"not within {seconds:.0f} s; {complaint()}"
        time.sleep(pause)

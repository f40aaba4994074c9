"""A node's processes: they run, end, and never outlive their node, whatever they or their node try."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_emr.node import Command, NodeLostError, ProcessNode, StartError
from tests.local_emr.conftest import is_alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tests look into /proc")
# A process that leaves its session and its parent, as a daemon does.
DAEMON = (
    "import os, time, pathlib\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        pathlib.Path('daemon.tmp').write_text(str(os.getpid()))\n"
    "        os.replace('daemon.tmp', 'daemon.pid')\n"
    "        time.sleep(600)\n"
    "    os._exit(0)\n"
    "os.wait()\n"
)


@pytest.fixture
def lost() -> threading.Event:
    """Set when the node says that it is lost."""
    return threading.Event()


@pytest.fixture
def node(tmp_path: Path, lost: threading.Event) -> Iterator[ProcessNode]:
    """A node, stopped after the test."""
    node = ProcessNode(tmp_path, lost.set)
    yield node
    node.stop(0.2)


def command(folder: Path, *argv: str, sweep: bool = True, name: str = "job") -> Command:
    """A command that runs in a folder of its own, with almost no environment."""
    folder.mkdir(exist_ok=True)
    env = {"PATH": "/usr/bin:/bin", "GREETING": "hello"}
    return Command(name, argv, env, folder, folder / "stdout", folder / "stderr", sweep)


def pid_in(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text().strip().isdecimal())
    return int(file.read_text())


def test_a_command_runs_in_its_environment_and_folder_and_says_how_it_ended(node: ProcessNode, tmp_path: Path) -> None:
    running = node.run(command(tmp_path / "a", "sh", "-c", "pwd; echo $GREETING; echo no >&2; exit 7"))
    assert running.wait(10) == 7
    assert (tmp_path / "a" / "stdout").read_text() == f"{tmp_path / 'a'}\nhello\n"
    assert (tmp_path / "a" / "stderr").read_text() == "no\n"


def test_nothing_is_inherited_from_the_server(
    node: ProcessNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    assert node.run(command(tmp_path / "a", "env")).wait(10) == 0
    assert "SECRET" not in (tmp_path / "a" / "stdout").read_text()


def test_a_signal_that_ended_it_is_its_exit_code(node: ProcessNode, tmp_path: Path) -> None:
    running = node.run(command(tmp_path / "a", "sh", "-c", "kill -9 $$"))
    assert running.wait(10) == -9


def test_waiting_has_a_limit(node: ProcessNode, tmp_path: Path) -> None:
    running = node.run(command(tmp_path / "a", "sleep", "600"))
    assert running.wait(0.05) is None


def test_a_program_that_is_not_there_is_an_error(node: ProcessNode, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file"):
        node.run(command(tmp_path / "a", "/no/such/program"))


def test_an_interrupt_reaches_the_command_alone_and_it_may_clean_up(node: ProcessNode, tmp_path: Path) -> None:
    script = "trap 'echo cleaned; exit 3' TERM; echo $$ > pid; while :; do sleep 0.02; done"
    running = node.run(command(tmp_path / "a", "sh", "-c", script))
    pid_in(tmp_path / "a" / "pid")
    running.interrupt()
    assert running.wait(10) == 3
    assert (tmp_path / "a" / "stdout").read_text() == "cleaned\n"


def test_a_kill_reaches_every_descendant(node: ProcessNode, tmp_path: Path) -> None:
    script = "trap '' TERM; sh -c 'sleep 600 & echo $! > child; wait' & wait"
    running = node.run(command(tmp_path / "a", "sh", "-c", script))
    child = pid_in(tmp_path / "a" / "child")
    running.kill()
    assert running.wait(10) == -9
    wait_until(lambda: not is_alive(child))


def test_what_a_step_leaves_in_its_session_ends_with_it(node: ProcessNode, tmp_path: Path) -> None:
    running = node.run(command(tmp_path / "a", "sh", "-c", "sleep 600 & echo $! > child"))
    assert running.wait(10) == 0
    child = pid_in(tmp_path / "a" / "child")
    wait_until(lambda: not is_alive(child))


def test_what_a_bootstrap_action_starts_lives_as_long_as_the_node(node: ProcessNode, tmp_path: Path) -> None:
    running = node.run(command(tmp_path / "a", "sh", "-c", "sleep 600 & echo $! > child", sweep=False))
    assert running.wait(10) == 0
    child = pid_in(tmp_path / "a" / "child")
    assert is_alive(child)
    node.stop(0.2)
    assert not is_alive(child)


def test_stopping_the_node_ends_what_ignores_sigterm_and_what_made_itself_a_daemon(
    node: ProcessNode, tmp_path: Path, lost: threading.Event
) -> None:
    stubborn = node.run(command(tmp_path / "a", "sh", "-c", "trap '' TERM; echo $$ > pid; while :; do sleep 1; done"))
    pids = {stubborn.pid, pid_in(tmp_path / "a" / "pid")}
    detached = node.run(command(tmp_path / "b", sys.executable, "-c", DAEMON, name="daemon"))
    assert detached.wait(10) == 0
    pids.add(pid_in(tmp_path / "b" / "daemon.pid"))
    assert all(map(is_alive, pids))
    node.stop(0.2)
    assert not any(map(is_alive, pids))
    assert stubborn.wait(0) == -9
    assert not lost.is_set()


def test_a_killed_node_takes_its_commands_with_it_and_says_so(
    node: ProcessNode, tmp_path: Path, lost: threading.Event
) -> None:
    running = node.run(command(tmp_path / "a", "sh", "-c", "sleep 600 & echo $! > child; wait"))
    child = pid_in(tmp_path / "a" / "child")
    os.kill(node.pid, signal.SIGKILL)
    with pytest.raises(NodeLostError):
        running.wait(10)
    assert lost.wait(10)
    wait_until(lambda: not is_alive(running.pid) and not is_alive(child))
    with pytest.raises(NodeLostError):
        node.run(command(tmp_path / "b", "true"))


def test_a_server_killed_with_sigkill_leaves_no_process(tmp_path: Path) -> None:
    """The node hears that its server is gone by the end of its input."""
    program = tmp_path / "server.py"
    program.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from local_emr.node import Command, ProcessNode\n"
        f"here = Path({str(tmp_path)!r})\n"
        "node = ProcessNode(here, lambda: None)\n"
        f"argv = ({sys.executable!r}, '-c', {DAEMON!r} + 'import time; time.sleep(600)')\n"
        "run = node.run(Command('x', argv, {}, here, here / 'out', here / 'err', True))\n"
        "(here / 'step.tmp').write_text(str(run.pid)); os.replace(here / 'step.tmp', here / 'step.pid')\n"
        "time.sleep(600)\n"
    )
    server = subprocess.Popen([sys.executable, str(program)])
    pids = {pid_in(tmp_path / "step.pid"), pid_in(tmp_path / "daemon.pid")}
    server.kill()
    server.wait()
    wait_until(lambda: not any(map(is_alive, pids)))

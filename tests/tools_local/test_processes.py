"""Servers are stopped by their id, say why they did not start, and never outlive who started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.local_run import processes
from tools.local_run.processes import ServerError, last_line

GUARD = Path(processes.__file__).parent / "guard.py"
#: Says its process id when it is ready, and keeps going when it is asked to end.
STUBBORN = (
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True);"
    " time.sleep(60)"
)
OBEDIENT = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def _pid(log: str) -> int | None:
    return int(log) if log.endswith("\n") else None


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait_until_gone(pid: int) -> None:
    end = time.monotonic() + 300
    while _is_running(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.02)


def test_a_server_runs_until_it_is_stopped(tmp_path: Path) -> None:
    server = processes.start("a server", [sys.executable, "-c", OBEDIENT], {}, tmp_path / "logs" / "log.txt")
    pid = server.wait_until(_pid, 120)
    assert _is_running(pid)
    server.stop()
    server.stop()
    assert not _is_running(pid)


def test_a_server_that_ends_at_once_gives_its_last_words_and_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('port in use\\n')"]
    server = processes.start("a server", command, {}, tmp_path / "log.txt")
    with pytest.raises(ServerError, match=r"a server ended when it was started: port in use \(log: .*log\.txt\)"):
        server.wait_until(lambda _: None, 120)


def test_a_server_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    server = processes.start("a server", [sys.executable, "-c", OBEDIENT], {}, tmp_path / "log.txt")
    pid = server.wait_until(_pid, 120)
    with pytest.raises(ServerError, match="a server was not ready after 0 s"):
        server.wait_until(lambda _: None, 0.1)
    assert not _is_running(pid)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends the children of a killed process")
def test_a_command_dies_with_its_guard(end: signal.Signals) -> None:
    guard = _guarded(OBEDIENT)
    pid = int(_line(guard))
    guard.send_signal(end)
    guard.wait(10)
    _wait_until_gone(pid)
    _close(guard)


def test_a_command_that_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    impatient = tmp_path / "guard.py"
    impatient.write_text(GUARD.read_text().replace("GRACE_SECONDS = 15.0", "GRACE_SECONDS = 0.2"))
    monkeypatch.setattr(sys.modules[__name__], "GUARD", impatient)
    guard = _guarded(STUBBORN)
    pid = int(_line(guard))
    _close(guard)
    assert guard.wait(10) == signal.SIGKILL
    assert not _is_running(pid)


def test_a_commands_exit_code_is_the_guards() -> None:
    guard = _guarded("import sys; sys.exit(7)")
    assert guard.wait(10) == 7
    _close(guard)


def test_ctrl_c_is_left_to_the_starter() -> None:
    guard = _guarded(OBEDIENT)
    pid = int(_line(guard))
    guard.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert _is_running(pid)
    _close(guard)
    guard.wait(10)


def _guarded(program: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", str(GUARD), str(int(signal.SIGTERM)), sys.executable, "-c", program]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()


def test_the_last_line_is_the_last_that_says_something() -> None:
    assert last_line("one\ntwo\n\n  \n") == "two"
    assert last_line("\n") == "it wrote nothing"

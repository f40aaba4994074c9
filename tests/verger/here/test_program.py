"""The program of a run on this machine, as its task sees it: here a stand-in that does as its arguments say."""

import logging
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from verger.here.program import HereFailedError, HereRefusedError, Program, run_program

STAND_IN = """
import os, signal, sys, time
how = sys.argv[sys.argv.index("featurize") + 1]
print("featurize: 3/9 images", flush=True)
if how == "hangs":
    time.sleep(600)
if how in ("killed", "stopped"):
    os.kill(os.getpid(), signal.SIGKILL if how == "killed" else signal.SIGTERM)
if how not in ("0", "3"):
    print("verger: error: the reason", file=sys.stderr)
sys.exit(int(how))
"""


def program(home: Path, how: str, seconds: int = 600) -> Program:
    folder = home / "spark_jobs" / "entry_points"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "here.py").write_text(STAND_IN)
    return Program(Path(sys.executable), home, 2, seconds, [how], ["--k", "3"])


@pytest.mark.parametrize(("how", "outcome"), [("0", "done"), ("3", "cut off"), ("killed", "cut off")])
def test_it_is_done_or_cut_off_and_its_lines_are_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str, outcome: str
) -> None:
    with caplog.at_level(logging.INFO):
        assert run_program(program(tmp_path, how), os.environ) == outcome
    assert "featurize: 3/9 images" in caplog.messages


@pytest.mark.parametrize(
    ("how", "error", "told"),
    [
        ("1", HereFailedError, "^the reason$"),
        ("2", HereRefusedError, "^the reason$"),
        ("stopped", HereFailedError, "signal 15"),
    ],
)
def test_what_fails_says_why(tmp_path: Path, how: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told) as caught:
        run_program(program(tmp_path, how), os.environ)
    assert isinstance(caught.value, HereRefusedError) is (how == "2")


def test_one_that_does_not_stop_in_time_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    assert run_program(program(tmp_path, "hangs", seconds=1), os.environ, grace_seconds=1) == "cut off"
    assert time.monotonic() - began < 60


def test_a_task_that_is_ended_ends_it(tmp_path: Path) -> None:
    def interrupt(_: int, __: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.alarm(2)
        with pytest.raises(KeyboardInterrupt):
            run_program(program(tmp_path, "hangs"), os.environ)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_it_gets_its_packages_from_the_installation(tmp_path: Path) -> None:
    wanted = program(tmp_path, "0")
    assert wanted.environment({"A": "b"})["PYTHONPATH"] == f"{tmp_path}:{tmp_path / 'plugins'}"
    assert wanted.command[:3] == [sys.executable, "-m", "spark_jobs.entry_points.here"]
    assert wanted.command[-5:] == ["0", "--", "pca", "--k", "3"]

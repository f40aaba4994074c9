"""`python -m local_emr` as a program: it announces itself, serves any client, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiobotocore.session import get_session  # type: ignore[import-untyped] # ships no types

from local_emr import LocalEmrSettings, running
from local_emr.launch import StartupError
from tests.local_emr.conftest import (
    ACCESS_KEY,
    OVER,
    REGION,
    SECRET_KEY,
    Lab,
    bash,
    clients,
    is_alive,
    kill,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(PROJECT),
    "HOME": "/nonexistent",
    "TEST_PASSED_ON": "yes",
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
}


@contextmanager
def server(
    work_dir: Path, *options: str, environment: Mapping[str, str] = ENVIRONMENT
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program, and the first line of its output."""
    command = [sys.executable, "-m", "local_emr", "--port", "0", "--work-dir", str(work_dir), *options]
    with (
        (work_dir / "server.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline()
        finally:
            kill(process.pid)


def lab_of(announcement: str) -> Lab:
    match = re.fullmatch(r"local EMR and S3: (http://127\.0\.0\.1:\d+)\n", announcement)
    assert match, announcement
    return clients(match[1])


def start_tree(lab: Lab, folder: Path) -> set[int]:
    """A cluster with a step that ignores SIGTERM and has a detached child; their process ids."""
    script = f"trap '' TERM; setsid sleep 600 & echo $! > {folder}/child; echo $$ > {folder}/pid; wait"
    lab.start(bash(script), LogUri="")
    return {lab.pid_in(folder / "pid"), lab.pid_in(folder / "child")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_the_server_ends_no_process_of_a_step_stays(tmp_path: Path, number: signal.Signals) -> None:
    with server(tmp_path, "--grace-seconds", "0.2") as (process, announcement):
        pids = start_tree(lab_of(announcement), tmp_path)
        process.send_signal(number)
        assert process.wait(20) == (0 if number is not signal.SIGKILL else -9)
        wait_until(lambda: not any(map(is_alive, pids)))


def test_it_tells_how_to_use_it_and_passes_on_only_what_it_is_told_to(tmp_path: Path) -> None:
    with server(tmp_path, "--env", "TEST_PASSED_ON", "--env", "GIVEN=a=b", "--node-root", str(tmp_path / "kept")) as (
        process,
        announcement,
    ):
        lab = lab_of(announcement)
        wait_until(lambda: f"export AWS_ENDPOINT_URL={lab.endpoint}" in (tmp_path / "server.log").read_text())
        for _ in range(2):
            cluster = lab.start(bash("echo $TEST_PASSED_ON $GIVEN >> /opt/log"), keep=False, LogUri="")
            assert lab.reach(cluster, *OVER)["State"] == "TERMINATED"
        assert (tmp_path / "kept" / "opt" / "log").read_text() == "yes a=b\n" * 2
        assert list((tmp_path / "kept" / "mnt" / "tmp").iterdir()) == []
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cores", "0"], "cores=0 must be greater than 0"),
        (["--env", "NO_SUCH_VARIABLE"], "there is no such variable"),
        (["--spark-python", "/no/python"], "no environment with pyspark"),
    ],
)
def test_what_cannot_work_is_one_line_of_error(tmp_path: Path, options: list[str], message: str) -> None:
    command = [sys.executable, "-m", "local_emr", "--port", "0", "--work-dir", str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("local_emr: error: ")
    assert message in done.stderr


def test_a_port_that_is_taken_is_an_error(tmp_path: Path, lab: Lab) -> None:
    port = lab.endpoint.rpartition(":")[2]
    command = [sys.executable, "-m", "local_emr", "--port", port, "--work-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode != 0
    assert "in use" in done.stderr


def test_a_program_runs_it_as_a_child_that_ends_with_the_block(tmp_path: Path) -> None:
    settings = LocalEmrSettings(work_dir=tmp_path, grace_seconds=0.2, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    with running(settings, log_file=tmp_path / "log") as endpoint:
        pids = start_tree(clients(endpoint), tmp_path)
        assert all(map(is_alive, pids))
    assert not any(map(is_alive, pids))


def test_a_child_that_does_not_come_up_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StartupError, match="exit code 2"),
        running(LocalEmrSettings(work_dir=tmp_path / "file" / "x"), log_file=tmp_path / "log"),
    ):
        pass
    assert "Not a directory" in (tmp_path / "log").read_text()


def test_a_child_ends_when_its_program_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from local_emr import LocalEmrSettings, running\n"
        f"settings = LocalEmrSettings(work_dir=Path({str(tmp_path)!r}), grace_seconds=0.2,"
        f" access_key={ACCESS_KEY!r}, secret_key={SECRET_KEY!r})\n"
        "with running(settings) as endpoint:\n"
        "    print('local EMR and S3: ' + endpoint, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT
    ) as caller:
        assert caller.stdout is not None
        pids = start_tree(lab_of(caller.stdout.readline()), tmp_path)
        caller.kill()
    wait_until(lambda: not any(map(is_alive, pids)))


def test_the_aws_cli_can_use_it(lab: Lab) -> None:
    cluster = lab.start()
    lab.reach(cluster, "WAITING")
    env = {
        "PATH": os.environ["PATH"],
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }
    aws = Path(sys.executable).with_name("aws")
    command = [str(aws), "emr", "list-clusters", "--endpoint-url", lab.endpoint]
    listed = json.loads(subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout)
    assert [c["Status"]["State"] for c in listed["Clusters"] if c["Id"] == cluster] == ["WAITING"]
    lab.end(cluster)


def test_an_asynchronous_client_can_wait_for_a_step(lab: Lab) -> None:
    """Airflow's deferrable sensors wait with aiobotocore."""
    cluster = lab.start(bash("sleep 0.2"))
    assert asyncio.run(_state_after_waiting(lab, cluster, lab.steps(cluster)[0]["Id"])) == "COMPLETED"
    lab.end(cluster)


async def _state_after_waiting(lab: Lab, cluster: str, step: str) -> str:
    async with get_session().create_client(
        "emr",
        endpoint_url=lab.endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    ) as emr:
        waiter = emr.get_waiter("step_complete")
        await waiter.wait(ClusterId=cluster, StepId=step, WaiterConfig={"Delay": 1, "MaxAttempts": 10})
        described = await emr.describe_step(ClusterId=cluster, StepId=step)
    return str(described["Step"]["Status"]["State"])

"""`make ui` as a person uses it: start, log in, trigger a run, read the result, Ctrl-C."""

import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from local_emr import process_table
from tests.e2e.fault_rows import wait_until
from tests.stack.airflow_api import AirflowApi
from tests.stack.compose_project import free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.spark]


def told(output: Path, words: str) -> str | None:
    """What stands behind these words in what the program has printed."""
    found = re.search(rf"^{words}\s*(\S+)", output.read_text("utf-8"), re.MULTILINE)
    return found.group(1) if found else None


def test_a_run_through_the_ui_without_docker_and_nothing_is_left_after_ctrl_c(project: Path, tmp_path: Path) -> None:
    output = tmp_path / "ui.txt"
    (port,) = free_ports(1)
    command = [str(project / ".venv/airflow/bin/python"), "-m", "tools.ui", "--port", str(port)]
    with output.open("w") as printed:
        program = subprocess.Popen(
            [*command, "--state", str(tmp_path / "state")],
            cwd=project,
            env={**os.environ, "PYTHONPATH": f"{project}:{project / 'plugins'}"},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: told(output, "Ctrl-C ends") or program.poll() is not None, 300, "the greeting")
            assert program.poll() is None, output.read_text("utf-8")
            words = [told(output, name) for name in ("Airflow", "user", "password")]
            address, user, password = (word or "" for word in words)
            api = AirflowApi(address.rstrip("/"), user, password)
            pictures = told(output, "Trigger fruits_features there; pictures to try it with:")
            run_id = api.trigger(source=pictures, k=2)
            assert api.wait_for_end(run_id, 420) == "success", api.tasks(run_id)
            assert api.tasks(run_id)["publish_results"] == "success"
            started = process_table.descendants(program.pid, process_table.processes())
            assert len(started) > 4, "Airflow's services, the S3 server, the local EMR"
        finally:
            program.send_signal(signal.SIGINT)
            code = program.wait(120)
    assert code == 0, output.read_text("utf-8")
    assert output.read_text("utf-8").rstrip().endswith("Start again to go on.")
    assert not set(started) & {process.pid for process in process_table.processes()}
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)

"""`make ui`: Airflow's web UI on this machine without Docker, with the local S3 and EMR, until Ctrl-C.

    python -m tools.ui [--port 8080]

It uses what `make demo` keeps in `.demo/`: the bucket, the model, the cluster node's packages and Airflow's database,
so that the demo's runs are there to look at. Exit code: 0 after Ctrl-C, when all has been ended; 1 with a line that
says what failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tools import local_stack
from tools.local_run import airflow_services, processes
from tools.local_run.airflow_home import AirflowHome, AirflowHomeError
from tools.local_run.demo_inputs import DRAWN_IMAGES
from tools.local_run.demo_state import DemoState, StateError, draw_once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

PROJECT = Path(__file__).resolve().parent.parent
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_SECONDS = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    parser = argparse.ArgumentParser(description="Runs Airflow's web UI with Verger on this machine.")
    parser.add_argument("--port", type=int, default=8080, help="the UI's port (%(default)s)")
    parser.add_argument("--state", type=Path, default=PROJECT / ".demo", metavar="FOLDER", help="shared with demos")
    arguments = parser.parse_args(argv)
    console = Console(highlight=False, soft_wrap=True)
    try:
        with DemoState(arguments.state.absolute()).locked() as state:
            serve(state, arguments.port, console)
    except (StateError, AirflowHomeError, processes.ServerError) as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped: nothing is left running. Start again to go on.")
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # Once only: what has to be ended then is ended undisturbed.
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def serve(state: DemoState, port: int, console: Console) -> None:
    """Serves until Ctrl-C; raises ServerError when a service ends by itself."""
    airflow_services.check_port(port)
    images = draw_once(state, DRAWN_IMAGES, PROJECT, console)
    logs = state.new_logs()
    home = AirflowHome(state.folder / "airflow", PROJECT, Path(sys.executable))
    own_environment = local_stack.cleared(os.environ)
    console.print("Starting the S3 server, the local EMR and Airflow ...")
    home.migrate(own_environment, logs / "airflow-database.log")
    with local_stack.running(local_stack.StackSettings.for_project(PROJECT, state.folder, logs)) as stack:
        environment = own_environment | stack.environment
        with airflow_services.running(home, environment, port, logs) as services:
            _greet(services.login, images, stack, logs, console)
            while (ended := services.ended()) is None:
                time.sleep(LOOK_SECONDS)
    raise processes.ServerError(f"{ended.name} ended by itself (log: {ended.log})")


def _greet(login: airflow_services.Login, images: Path, stack: local_stack.Stack, logs: Path, console: Console) -> None:
    """Says where to go and what to try. The keys are this start's own, for a bucket on this machine."""
    for line in (
        "",
        f"Airflow   {login.url}",
        f"user      {login.user}",
        f"password  {login.password}",
        "",
        f"Trigger fruits_features there; pictures to try it with: {images}",
        f"The bucket is {stack.settings.bucket}; to put pictures into it yourself:",
        f"  export AWS_ENDPOINT_URL_S3={stack.s3_url} AWS_REGION={local_stack.REGION}",
        f"  export AWS_ACCESS_KEY_ID={stack.access_key} AWS_SECRET_ACCESS_KEY={stack.secret_key}",
        f"  aws s3 sync my-fruits s3://{stack.settings.bucket}/images/",
        "(`make demo` uses the same bucket, and removes what is not among its own pictures.)",
        f"Logs: {logs}",
        "Ctrl-C ends everything.",
    ):
        console.print(line, markup=False)


if __name__ == "__main__":
    sys.exit(main())

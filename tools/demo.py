"""`make demo`: the whole DAG on this machine, from a folder of pictures to a matrix, with the local S3 and EMR.

    python -m tools.demo [--images FOLDER] [--weights FILE.h5] [--k 10] [--out demo-output] [--cluster local|yarn]
        [--compute auto|cluster|here]

State is kept in `.demo/` (Airflow's database, the S3 folder, the cluster node's packages, logs), so a second run
computes only what is new. Exit code: 0; 1 with a line that says what failed; 130 after Ctrl-C, when all has been ended.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from verger.publish.left_out import read_left_out
from verger.storage.layout import BucketLayout, RunLayout

from tools import local_stack
from tools.local_run import clusters, dag_process, processes, summary
from tools.local_run.airflow_home import AirflowHome, AirflowHomeError
from tools.local_run.demo_inputs import DRAWN_IMAGES, DemoInputs, InputError, parse_inputs
from tools.local_run.demo_state import DemoState, StateError, draw_once
from tools.local_run.display import choose_display
from tools.local_run.results import ResultsError, copy_results, read_object, read_published
from tools.local_run.run_view import FEATURIZE_TASKS, RunView, apply_event, parse_progress, phase_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    from tools.local_run.clusters import ClusterState
    from tools.local_run.display import Display
    from tools.local_run.results import Published

PROJECT = Path(__file__).resolve().parent.parent
PROGRESS_SECONDS = 1.0
INTERRUPTED = 130
WHERE = {
    "cluster": "starting Airflow; the run shows a cluster, as the first one or by COMPUTE=cluster",
    "auto": "starting Airflow; few new pictures are computed without a cluster (COMPUTE=cluster shows one)",
    "here": "starting Airflow; the run computes on this machine, without a cluster",
}
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """The demo failed; the message is for the person who started it."""


@dataclass(frozen=True)
class Ran:
    """A run of the DAG that ended well."""

    view: RunView
    clusters: Sequence[ClusterState]
    published: Published
    left_out: Mapping[str, Any]

    @property
    def computed(self) -> bool:
        """Whether there was anything to do."""
        return self.view.tasks["publish_results"].state != "skipped"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    parser = argparse.ArgumentParser(description="Runs Verger on this machine.")
    for name, what in (
        ("images", "folder"),
        ("weights", "file"),
        ("k", "number"),
        ("out", "folder"),
        ("cluster", "kind"),
        ("compute", "place"),
    ):
        parser.add_argument(f"--{name}", default="", metavar=what.upper())
    parser.add_argument("--state", type=Path, default=PROJECT / ".demo", metavar="FOLDER", help="kept between demos")
    arguments = vars(parser.parse_args(argv))
    folder = Path(arguments.pop("state")).absolute()
    console = Console()
    try:
        inputs = parse_inputs({name.upper(): value for name, value in arguments.items()}, Path.cwd())
        with DemoState(folder).locked() as state:
            demo(inputs, state, console)
    except (
        InputError, DemoError, StateError, ResultsError, AirflowHomeError, processes.ServerError, TimeoutError
    ) as error:  # fmt: skip
        print(f"verger: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: no cluster is left. Run again to go on.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # Once only: what has to be ended then is ended undisturbed.
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def demo(inputs: DemoInputs, state: DemoState, console: Console) -> None:
    """Runs everything and leaves the results in `inputs.out`. Raises the errors that main turns into one line."""
    began = time.time()
    images = inputs.images or draw_once(state, DRAWN_IMAGES, PROJECT, console)
    console.print(f"Verger: {images} -> {inputs.out}, k = {inputs.k}", markup=False, highlight=False, soft_wrap=True)
    ran = _run_on_stack(inputs, images, state, choose_display(console))
    if not ran.computed:
        since = ran.published.latest["published_at"]
        console.print(f"\nNothing new since {since}: no cluster was needed.", highlight=False, soft_wrap=True)
    begins = [task.began for task in ran.view.tasks.values() if task.began is not None]
    phases = {"set-up": min(begins, default=began) - began} | phase_seconds(ran.view, time.time())
    outcome = summary.Outcome(
        ran.published.run, ran.computed, ran.clusters, phases, time.time() - began, inputs.out, ran.left_out
    )
    summary.show(outcome, console)


def _run_on_stack(inputs: DemoInputs, images: Path, state: DemoState, display: Display) -> Ran:
    """Starts Airflow's database, S3 and EMR, runs the DAG, and copies what it published."""
    logs = state.new_logs()
    home = AirflowHome(state.folder / "airflow", PROJECT, Path(sys.executable))
    settings = local_stack.StackSettings.for_project(PROJECT, state.folder, logs, on_yarn=inputs.on_yarn)
    with display, _airflow_starting(home, settings, logs) as airflow:
        display.show(RunView(note="starting the S3 server, the local EMR and Airflow, side by side"))
        with local_stack.running(settings) as stack:
            compute = inputs.compute or _compute_by_default(stack)
            display.show(RunView(note=WHERE[compute]))
            parameters = _parameters(inputs, images, stack, compute)
            try:
                view = _follow(stack, parameters, airflow.result(), logs / "airflow.log", display)
            finally:
                ended = clusters.end_all(stack.emr())
            _check(view, ended, logs / "airflow.log")
            layout = BucketLayout(stack.settings.bucket)
            published = read_published(stack.s3(), layout)
            copy_results(stack.s3(), layout, published.latest["run_id"], inputs.out)
            # Of this run: the published one may be an earlier one, when nothing was new.
            left_out = read_left_out(stack.s3(), RunLayout(layout, view.run_id))
    return Ran(view, ended, published, left_out)


@contextlib.contextmanager
def _airflow_starting(
    home: AirflowHome, settings: local_stack.StackSettings, logs: Path
) -> Iterator[Future[dag_process.DagProcess]]:
    """Airflow with its database, started beside the servers: it is loaded for seconds before it needs one of them."""
    environment = local_stack.cleared(os.environ)
    known = environment | local_stack.installation(settings) | home.environment()

    def start() -> dag_process.DagProcess:
        home.migrate(environment, logs / "airflow-database.log")
        return dag_process.start(Path(sys.executable), known, logs / "airflow.log")

    with ThreadPoolExecutor(1) as threads:
        starting = threads.submit(start)
        try:
            yield starting
        finally:
            with contextlib.suppress(AirflowHomeError):
                starting.result().stop()


def _compute_by_default(stack: local_stack.Stack) -> str:
    """A cluster, which a demo is there to show, until there are results; then whatever is ready sooner."""
    latest = BucketLayout(stack.settings.bucket).latest
    return "auto" if read_object(stack.s3(), latest.bucket, latest.key) else "cluster"


def _parameters(inputs: DemoInputs, images: Path, stack: local_stack.Stack, compute: str) -> dict[str, object]:
    return {
        "bucket": stack.settings.bucket,
        "region": local_stack.REGION,
        "source": str(images),
        # The pictures of another demo's folder must not stay among these, however many they are.
        "delete_missing": True,
        "delete_more_than_half": True,
        "weights": str(inputs.weights or ""),
        "k": inputs.k,
        "compute": compute,
        # Few pictures need one node; two show what a cluster is.
        **({"core_nodes": 2} if inputs.on_yarn else {}),
    }


def _follow(
    stack: local_stack.Stack, parameters: dict[str, object], run: dag_process.DagProcess, log: Path, display: Display
) -> RunView:
    """Runs the DAG and shows it until it is over. Raises DemoError when its process ends without a word."""
    view, looked = RunView(), 0.0
    run.begin(parameters, stack.environment)
    try:
        for event in run.events():
            if event is not None:
                view = apply_event(view, event)
            elif time.monotonic() - looked > PROGRESS_SECONDS:
                looked = time.monotonic()
                view = _with_progress(view, stack)
            display.show(view)
        code = run.exit_code()
    finally:
        run.stop()
    if view.state in {"starting", "running"}:
        last = processes.last_line(log.read_text("utf-8", errors="replace"))
        raise DemoError(f"Airflow's process ended with exit code {code}: {last}\n  log: {log}")
    return view


def _check(view: RunView, ended: Sequence[ClusterState], log: Path) -> None:
    """Raises DemoError unless the run succeeded: the task that failed, its reason, and where to read more."""
    if view.state == "success":
        return
    task = view.failed_task
    what = f"{task} failed: {view.tasks[task].error}" if task else view.error or "the run failed, no task tells why"
    left = "".join(f"\n  cluster {cluster.id}: {cluster.state}" for cluster in ended)
    raise DemoError(f"{what}{left}\n  log: {log}")


def _with_progress(view: RunView, stack: local_stack.Stack) -> RunView:
    """The view with featurize's own count of images, while that task runs."""
    states = {name: task.state for name, task in view.tasks.items()}
    if "running" not in (states.get(name) for name in FEATURIZE_TASKS):
        return view
    layout = BucketLayout(stack.settings.bucket)
    address = RunLayout(layout, view.run_id).run_file("featurize.progress.json")
    values = read_object(stack.s3(), address.bucket, address.key)
    return view.with_images(parse_progress(values)) if values else view


if __name__ == "__main__":
    sys.exit(main())

"""A Verger of a test's own, and pictures for it."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from verger.storage.json_objects import read_json
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.addresses import S3Address

from tools import local_stack
from tools.draw_images import Drawing, write_images
from tools.local_run import clusters, dag_process
from tools.local_run.airflow_home import AirflowHome
from tools.local_run.run_view import RunView, apply_event


@dataclass(frozen=True)
class Verger:
    """A running installation, with variables of its own in Airflow's environment; `run` runs the DAG once."""

    stack: local_stack.Stack
    home: AirflowHome
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> BucketLayout:
        """The paths of its bucket."""
        return BucketLayout(self.stack.settings.bucket)

    def run(self, watch: Callable[[RunView], None] = lambda _: None, **conf: Any) -> RunView:
        """Run the DAG with these params, on a cluster unless they say otherwise; call `watch` four times a second."""
        environment = {
            **local_stack.cleared(os.environ),
            **self.stack.environment,
            **self.home.environment(),
            **self.variables,
        }
        place = {"bucket": self.stack.settings.bucket, "region": local_stack.REGION, "compute": "cluster"}
        params = {**place, **conf}
        log = self.folder / f"run-{time.time_ns()}.log"
        view = RunView()
        with dag_process.running(self.home.python, params, environment, log) as process:
            for event in process.events():
                if event is not None:
                    view = apply_event(view, event)
                watch(view)
            process.exit_code()
        return view

    def clusters(self) -> list[clusters.ClusterState]:
        """Every cluster there has been."""
        return clusters.list_clusters(self.stack.emr())

    def metrics(self, view: RunView, name: str) -> dict[str, Any]:
        """One of a run's JSON files."""
        found = self.read(RunLayout(self.layout, view.run_id).run_file(name))
        assert found is not None, f"{name} of {view.run_id} is missing"
        return found

    def latest(self) -> dict[str, Any] | None:
        """What `latest.json` says."""
        return self.read(self.layout.latest)

    def read(self, address: S3Address) -> dict[str, Any] | None:
        """A JSON object of the bucket."""
        return read_json(self.stack.s3(), address)


@contextlib.contextmanager
def installed(project: Path, folder: Path, idle_time_scale: float = 1.0, *, on_yarn: bool = False) -> Iterator[Verger]:
    """An installation for as long as the context is open; fails when a cluster outlives what was done with it."""
    home = AirflowHome(folder / "airflow", project, project / ".venv" / "airflow" / "bin" / "python")
    home.migrate(local_stack.cleared(os.environ), folder / "migrate.log")
    local = local_stack.StackSettings.for_project(project, folder, folder, on_yarn=on_yarn)
    settings = replace(local, idle_time_scale=idle_time_scale)
    with local_stack.running(settings) as stack:
        yield Verger(stack, home, folder)
        left = [cluster for cluster in clusters.list_clusters(stack.emr()) if not cluster.ended]
        assert left == [], "a cluster was left alive"


def draw(folder: Path, images: int, *, broken: int = 0, seed: int = 1) -> Path:
    """Drawn pictures in labelled folders."""
    write_images(folder, Drawing(images=images, labels=4, seed=seed, broken=broken))
    return folder

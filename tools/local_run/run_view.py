"""What is known of a run while it goes on: a picture of it that events are added to, and that displays draw."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tools.local_run.run_events import RunEnded, RunKnown, RunRefused, TaskChanged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tools.local_run.run_events import Event

TITLES: Mapping[str, str] = {
    "check_settings": "check the settings",
    "sync_images": "copy new and changed pictures to S3",
    "publish_model": "put the model on S3",
    "plan_run": "list the pictures, subtract what is done",
    "open_account": "there is work to do",
    "choose_place": "compare this machine with a cluster",
    "run_here": "compute features and components on this machine",
    "publish_code": "put the Spark jobs on S3",
    "lease_cluster": "name the cluster",
    "create_cluster": "ask EMR for the cluster",
    "wait_for_cluster": "wait until the cluster is ready",
    "add_featurize_step": "hand over the step featurize",
    "wait_for_featurize": "compute 1,280 features a picture",
    "add_pca_step": "hand over the step pca",
    "wait_for_pca": "compute the principal components",
    "publish_results": "check the counts, publish the results",
    "hold_cluster": "hold the finished cluster, if asked to",
    "terminate_cluster": "end the cluster",
    "record_cost": "reckon what it cost",
    "check_outcome": "look whether all went well",
}
PHASES: Mapping[str, tuple[str, ...]] = {
    "copy and plan": ("check_settings", "sync_images", "plan_run"),
    "model": ("publish_model",),
    "place": ("open_account", "choose_place"),
    "features and components": ("run_here",),
    "cluster": ("publish_code", "lease_cluster", "create_cluster", "wait_for_cluster"),
    "features": ("add_featurize_step", "wait_for_featurize"),
    "components": ("add_pca_step", "wait_for_pca"),
    "results": ("publish_results",),
    "cluster's end": ("hold_cluster", "terminate_cluster"),
    "account": ("record_cost", "check_outcome"),
}
#: In either place, the task during which featurize works.
FEATURIZE_TASKS = ("run_here", "wait_for_featurize")
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass(frozen=True)
class TaskView:
    """One task: Airflow's state (`waiting` before it has one) and when it began and ended, in seconds since 1970."""

    state: str = "waiting"
    began: float | None = None
    ended: float | None = None
    attempt: int = 1
    error: str = ""

    def seconds(self, now: float) -> float | None:
        """How long it ran, or has been running; None when it has not begun."""
        if self.began is None:
            return None
        return (self.ended if self.ended is not None else now) - self.began


@dataclass(frozen=True)
class ImagesProgress:
    """How far featurize is (docs/formats.md, `featurize.progress.json`)."""

    done: int
    total: int
    per_second: float
    seconds_left: float | None


@dataclass(frozen=True)
class RunView:
    """A run as far as it is known; the note says what goes on while no task has begun."""

    run_id: str = ""
    state: str = "starting"
    tasks: Mapping[str, TaskView] = field(default_factory=dict)
    error: str = ""
    images: ImagesProgress | None = None
    note: str = ""

    @property
    def failed_task(self) -> str | None:
        """The task whose failure is the cause: the first that failed."""
        failed = [(task.ended or 0.0, name) for name, task in self.tasks.items() if task.state == "failed"]
        return min(failed)[1] if failed else None

    def with_images(self, images: ImagesProgress | None) -> RunView:
        """The same with a newer count of images, if there is one."""
        return replace(self, images=images or self.images)


def apply_event(view: RunView, event: Event) -> RunView:
    """The view with one more event in it."""
    match event:
        case RunKnown(run_id, tasks):
            known = {name: view.tasks.get(name, TaskView()) for name in tasks}
            return replace(view, run_id=run_id, state="running", tasks=known)
        case TaskChanged():
            former = view.tasks.get(event.task, TaskView())
            return replace(view, tasks={**view.tasks, event.task: _changed(former, event)})
        case RunEnded(state, states):
            tasks_after = {name: replace(task, state=states.get(name, task.state)) for name, task in view.tasks.items()}
            return replace(view, state=state, tasks=tasks_after)
        case RunRefused(error):
            return replace(view, state="failed", error=error)


def _changed(task: TaskView, event: TaskChanged) -> TaskView:
    # A deferred task is told to run a second time when it resumes: it began when it began.
    began = task.began if task.began is not None else event.at
    ended = event.at if event.state in ENDED else None
    return TaskView(event.state, began, ended, event.attempt, event.error or task.error)


def parse_progress(values: Mapping[str, object]) -> ImagesProgress | None:
    """Reads `featurize.progress.json`; None when it lacks what is needed."""
    done, total, per_second, left = (
        values.get(name) for name in ("images_done", "images_total", "images_per_second", "seconds_left")
    )
    if not isinstance(done, int) or not isinstance(total, int):
        return None
    return ImagesProgress(
        done,
        total,
        float(per_second) if isinstance(per_second, int | float) else 0.0,
        float(left) if isinstance(left, int | float) else None,
    )


def phase_seconds(view: RunView, now: float) -> dict[str, float]:
    """Seconds spent in each phase that ran; the sum of its tasks."""
    spent = {}
    for phase, tasks in PHASES.items():
        times = [view.tasks[name].seconds(now) for name in tasks if name in view.tasks]
        known = [seconds for seconds in times if seconds is not None]
        if known:
            spent[phase] = sum(known)
    return spent

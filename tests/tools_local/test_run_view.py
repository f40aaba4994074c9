"""A run is known from its events alone."""

from tools.local_run.run_events import RunEnded, RunKnown, RunRefused, TaskChanged
from tools.local_run.run_view import (
    PHASES,
    TITLES,
    ImagesProgress,
    RunView,
    apply_event,
    parse_progress,
    phase_seconds,
)

FEATURIZE = "wait_for_featurize"
TASKS = ("check_settings", "plan_run", "create_cluster", FEATURIZE)


def _view(*events: RunKnown | TaskChanged | RunEnded | RunRefused) -> RunView:
    view = RunView()
    for event in (RunKnown("run 1", TASKS), *events):
        view = apply_event(view, event)
    return view


def test_tasks_wait_in_the_order_of_the_dag_until_they_begin() -> None:
    view = _view()
    assert list(view.tasks) == list(TASKS)
    assert {task.state for task in view.tasks.values()} == {"waiting"}
    assert view.tasks["plan_run"].seconds(now=10.0) is None


def test_a_task_that_was_deferred_and_resumed_began_when_it_first_began() -> None:
    view = _view(
        TaskChanged(FEATURIZE, "running", 10.0),
        TaskChanged(FEATURIZE, "running", 40.0),
        TaskChanged(FEATURIZE, "success", 41.0),
    )
    assert view.tasks[FEATURIZE].seconds(now=99.0) == 31.0


def test_a_task_that_is_tried_again_has_not_ended() -> None:
    view = _view(TaskChanged("plan_run", "running", 1.0), TaskChanged("plan_run", "up_for_retry", 2.0, 1, "lost"))
    assert view.tasks["plan_run"].ended is None
    assert view.failed_task is None
    assert view.tasks["plan_run"].error == "lost"


def test_the_cause_of_a_failed_run_is_the_task_that_failed_first() -> None:
    view = _view(
        TaskChanged("plan_run", "running", 1.0),
        TaskChanged("plan_run", "failed", 2.0, 1, "k is 10"),
        TaskChanged("check_settings", "failed", 3.0),
        RunEnded("failed", {"plan_run": "failed", "check_settings": "failed", FEATURIZE: "upstream_failed"}),
    )
    assert (view.state, view.failed_task) == ("failed", "plan_run")
    assert view.tasks[FEATURIZE].state == "upstream_failed"


def test_tasks_that_never_ran_get_their_state_at_the_end() -> None:
    view = _view(RunEnded("success", {"create_cluster": "skipped", FEATURIZE: "skipped"}))
    assert view.tasks["create_cluster"].state == "skipped"


def test_a_dag_that_did_not_load_is_a_failed_run() -> None:
    view = apply_event(RunView(), RunRefused("the DAG is not there"))
    assert (view.state, view.error, view.failed_task) == ("failed", "the DAG is not there", None)


def test_seconds_are_summed_by_phase_and_phases_that_never_ran_are_left_out() -> None:
    view = _view(
        TaskChanged("check_settings", "running", 0.0),
        TaskChanged("check_settings", "success", 1.0),
        TaskChanged("plan_run", "running", 2.0),
        TaskChanged("plan_run", "success", 4.0),
    )
    assert phase_seconds(view, now=9.0) == {"copy and plan": 3.0}


def test_each_task_with_a_title_belongs_to_one_phase() -> None:
    assert sorted(task for tasks in PHASES.values() for task in tasks) == sorted(TITLES)


def test_progress_that_lacks_a_count_is_no_progress() -> None:
    assert parse_progress({"images_done": 3}) is None
    assert parse_progress({"images_done": 3, "images_total": 9, "images_per_second": 1.5, "seconds_left": 4}) == (
        ImagesProgress(3, 9, 1.5, 4.0)
    )
    assert parse_progress({"images_done": 0, "images_total": 9}) == ImagesProgress(0, 9, 0.0, None)


def test_an_older_count_of_images_stays_when_there_is_no_newer_one() -> None:
    images = ImagesProgress(3, 9, 1.5, 4.0)
    assert RunView().with_images(images).with_images(None).images == images

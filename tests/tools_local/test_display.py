"""What a person sees of a run, on terminals of several kinds and without one."""

import io
import re

import pytest
from rich.console import Console

from tools.local_run import display
from tools.local_run.display import PlainDisplay, TerminalDisplay, choose_display, images_text, seconds_text
from tools.local_run.run_events import RunEnded, RunKnown, TaskChanged
from tools.local_run.run_view import ImagesProgress, RunView, apply_event

FEATURIZE = "wait_for_featurize"
TASKS = ("check_settings", "sync_images", FEATURIZE, "publish_results")


@pytest.fixture
def view() -> RunView:
    """A run in the middle of featurize."""
    view = RunView()
    for event in (
        RunKnown("run", TASKS),
        TaskChanged("check_settings", "running", 100.0),
        TaskChanged("check_settings", "success", 100.4),
        TaskChanged("sync_images", "running", 101.0),
        TaskChanged("sync_images", "up_for_retry", 102.0, 1, "connection lost"),
        TaskChanged(FEATURIZE, "running", 103.0),
    ):
        view = apply_event(view, event)
    return view.with_images(ImagesProgress(1200, 2400, 148.2, 8.1))


def _terminal(width: int, **options: object) -> Console:
    return Console(**{"file": io.StringIO(), "force_terminal": True, "width": width, "height": 30, **options})  # type: ignore[arg-type]


def _drawn(console: Console, view: RunView) -> str:
    shown = TerminalDisplay(console)
    shown.show(view)
    console.print(shown._render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _plain_text(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(view: RunView, width: int) -> None:
    for line in _plain_text(_drawn(_terminal(width), view)).splitlines():
        assert len(line) <= width


def test_a_terminal_shows_each_task_its_time_and_the_images(view: RunView) -> None:
    text = _plain_text(_drawn(_terminal(100), view))
    assert re.search(r"✓ check_settings +check the settings +0\.4 s", text)
    assert "1,200 of 2,400 images, 148 images/s, 8.1 s left" in text
    assert re.search(r"· publish_results", text)


def test_a_low_terminal_shows_the_tasks_around_the_one_that_runs() -> None:
    view = apply_event(RunView(), RunKnown("run", tuple(f"task_{number:02d}" for number in range(14))))
    for number in range(9):
        view = apply_event(view, TaskChanged(f"task_{number:02d}", "success", 1.0 + number))
    running = apply_event(view, TaskChanged("task_09", "running", 20.0))
    lines = _plain_text(_drawn(_terminal(100, height=9), running)).splitlines()
    assert len(lines) <= 9 - 2
    assert any("task_09" in line for line in lines)
    ended = apply_event(running, RunEnded("success", {}))
    assert len(_plain_text(_drawn(_terminal(100, height=9), ended)).splitlines()) == 14


def test_no_color_is_honoured(view: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search(r"\x1b\[[0-9;]*3[0-9]m", _drawn(_terminal(100), view))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", _drawn(_terminal(100), view))


def test_without_a_terminal_there_are_plain_lines_for_what_happened(view: RunView) -> None:
    output = io.StringIO()
    console = Console(file=output, width=80)
    with choose_display(console) as shown:
        assert isinstance(shown, PlainDisplay)
        shown.show(view)
        shown.show(view)
        failed = TaskChanged(FEATURIZE, "failed", 110.0, 1, "x" * 200)
        shown.show(apply_event(apply_event(view, failed), RunEnded("failed", {})))
    lines = [re.sub(r"^ *[0-9.]+ s  ", "", line) for line in output.getvalue().splitlines()]
    assert lines == [
        "check_settings: check the settings: done in 0.4 s",
        "sync_images: copy new and changed pictures to S3: will be tried again: connection lost",
        f"{FEATURIZE}: compute 1,280 features a picture: FAILED: {'x' * 200}",
    ]


def test_a_long_task_gives_a_sign_of_life(view: RunView, monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    shown = PlainDisplay(Console(file=output, width=80))
    shown.show(view)
    monkeypatch.setattr(display, "HEARTBEAT_SECONDS", -1.0)
    shown.show(view)
    assert output.getvalue().splitlines()[-1].endswith(f"{FEATURIZE}: 1,200 of 2,400 images, 148 images/s, 8.1 s left")


def test_a_slow_start_gives_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    shown = PlainDisplay(Console(file=output, width=80))
    shown.show(RunView(note="starting Airflow"))
    monkeypatch.setattr(display, "HEARTBEAT_SECONDS", -1.0)
    shown.show(RunView(note="starting Airflow"))
    assert [line[10:].strip() for line in output.getvalue().splitlines()] == [
        "starting Airflow",
        "still starting Airflow",
    ]


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose_display(Console(force_terminal=True, file=io.StringIO())), PlainDisplay)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_read_as_a_person_says_them(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_time_left_is_shown_only_when_it_is_known() -> None:
    assert images_text(ImagesProgress(0, 9, 0.0, None)) == "0 of 9 images"
    assert images_text(ImagesProgress(3, 9, 0.463, 12.96)) == "3 of 9 images, 0.46 images/s, 13 s left"

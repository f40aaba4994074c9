"""What a demo leaves for the next one."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from tools.local_run.demo_state import KEPT_LOGS, DemoState, StateError, draw_once

PROJECT = Path(__file__).resolve().parents[2]


def _console() -> Console:
    return Console(file=io.StringIO())


def test_one_demo_at_a_time_uses_the_folder(tmp_path: Path) -> None:
    state = DemoState(tmp_path / "state")
    with state.locked(), pytest.raises(StateError, match="another demo uses"), state.locked():
        pass
    with state.locked() as again:
        assert again == state


def test_each_demo_has_a_folder_for_its_logs_and_the_oldest_go(tmp_path: Path) -> None:
    state = DemoState(tmp_path)
    folders = [state.new_logs() for _ in range(KEPT_LOGS + 2)]
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == [path.name for path in folders[2:]]


def test_pictures_are_drawn_once_and_then_left_as_they_are(tmp_path: Path) -> None:
    state = DemoState(tmp_path)
    drawn = draw_once(state, 24, PROJECT, _console())
    pictures = sorted(drawn.rglob("*.jpg"))
    assert len(pictures) == 24
    pictures[0].unlink()
    assert draw_once(state, 24, PROJECT, _console()) == drawn
    assert len(list(drawn.rglob("*.jpg"))) == 23, "a person's own changes stay"


def test_a_drawing_that_failed_leaves_nothing_that_looks_drawn(tmp_path: Path) -> None:
    state = DemoState(tmp_path)
    with pytest.raises(StateError, match=r"the pictures could not be drawn: verger: error: .*0 or more"):
        draw_once(state, -1, PROJECT, _console())
    assert not state.drawn.exists()

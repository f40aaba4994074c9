"""Shows a run to a person: live on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tools.local_run.run_view import ENDED, FEATURIZE_TASKS, TITLES, RunView

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import RenderableType

    from tools.local_run.run_view import ImagesProgress, TaskView

MARKS = {"success": ("✓", "green"), "failed": ("✗", "bold red"), "up_for_retry": ("↻", "yellow")}
ASCII_MARKS = {"✓": "+", "✗": "x", "↻": "~", "·": "."}
#: Below this many columns a task's title is left out, below the next one the bar as well.
TITLE_COLUMNS = 76
BAR_COLUMNS = 60
HEARTBEAT_SECONDS = 10.0
#: The line above the tasks, the images' line and the cursor's.
ROWS_FOR_OTHERS = 3


class Display(Protocol):
    """Shows a run while its context is open."""

    def __enter__(self) -> Self:
        """Begins to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it; what was shown last stays."""

    def show(self, view: RunView) -> None:
        """Shows how the run is now; called several times a second."""


def seconds_text(seconds: float) -> str:
    """A duration as a person says it: 0.4 s, 42 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 9.95:  # noqa: PLR2004 (rounds to 10)
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def images_text(images: ImagesProgress) -> str:
    """One line of featurize's progress."""
    speed = f", {rate_text(images.per_second)} images/s" if images.done else ""
    left = f", {seconds_text(images.seconds_left)} left" if images.seconds_left else ""
    return f"{images.done:,} of {images.total:,} images{speed}{left}"


def rate_text(per_second: float) -> str:
    """A rate with two digits where they say something: 0.46, 8.1, 148."""
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.2g}"  # noqa: PLR2004 (two digits)


class PlainDisplay:
    """One line for each thing that happens, and a sign of life while a task takes long."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._shown: dict[str, tuple[str, int]] = {}
        self._last_line = self._began
        self._note = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to show."""

    def _say(self, line: str) -> None:
        """Prints a line with the seconds since the beginning."""
        self._last_line = time.monotonic()
        self._console.print(
            f"{self._last_line - self._began:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True
        )

    def show(self, view: RunView) -> None:
        """Prints what changed since the last time."""
        if view.note and self._note != view.note:
            self._note = view.note
            self._say(view.note)
        for name, task in view.tasks.items():
            if self._shown.get(name) == (task.state, task.attempt):
                continue
            self._shown[name] = (task.state, task.attempt)
            if line := _change_line(name, task):
                self._say(line)
        if time.monotonic() - self._last_line > HEARTBEAT_SECONDS:
            self._sign_of_life(view)

    def _sign_of_life(self, view: RunView) -> None:
        if not view.tasks and view.note:
            self._say(f"still {view.note}")
        for name, task in view.tasks.items():
            spent = task.seconds(time.time()) or 0.0
            if task.state == "running" and spent >= HEARTBEAT_SECONDS / 2:
                images = view.images if name in FEATURIZE_TASKS else None
                self._say(f"{name}: {images_text(images) if images else f'running for {seconds_text(spent)}'}")


def _change_line(name: str, task: TaskView) -> str | None:
    title = TITLES.get(name, name)
    if task.state == "success":
        return f"{name}: {title}: done in {seconds_text(task.seconds(time.time()) or 0.0)}"
    if task.state == "failed":
        return f"{name}: {title}: FAILED: {task.error or 'see the log'}"
    if task.state == "up_for_retry":
        return f"{name}: {title}: will be tried again: {task.error}"
    return None


class TerminalDisplay:
    """A table of the tasks that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view = RunView()
        self._ascii = not console.encoding.startswith("utf")
        self._spinner = Spinner("line" if self._ascii else "dots", style="cyan")
        self._live = Live(console=console, refresh_per_second=8, get_renderable=self._render)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the last picture on the terminal."""
        self._live.__exit__(kind, error, trace)

    def show(self, view: RunView) -> None:
        """Remembers what to draw next."""
        self._view = view

    def _render(self) -> RenderableType:
        view = self._view
        if not view.tasks:
            return self._note_line(view)
        with_title = self._console.width >= TITLE_COLUMNS
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis")
        if with_title:
            table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
        table.add_column(no_wrap=True, justify="right")
        for name, task in self._tasks_that_fit(view):
            spent = task.seconds(time.time())
            cells: list[RenderableType] = [self._mark(task), Text(name, style=_style(task))]
            if with_title:
                cells.append(Text(TITLES.get(name, "")))
            table.add_row(*cells, Text(seconds_text(spent) if spent is not None else "", style=_style(task)))
        parts: list[RenderableType] = [table]
        if view.images and any(_is_running(view, name) for name in FEATURIZE_TASKS):
            parts.append(self._images_line(view.images))
        return Group(*parts)

    def _tasks_that_fit(self, view: RunView) -> list[tuple[str, TaskView]]:
        """All tasks; on a low terminal, while the run goes on, those around the one that runs."""
        tasks = list(view.tasks.items())
        rows = max(1, self._console.height - ROWS_FOR_OTHERS)
        if view.state != "running" or len(tasks) <= rows:
            return tasks
        current = next((at for at, (_, task) in enumerate(tasks) if task.state not in ENDED), len(tasks))
        first = max(0, min(current - rows // 2, len(tasks) - rows))
        return tasks[first : first + rows]

    def _note_line(self, view: RunView) -> RenderableType:
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_column(width=1)
        line.add_column(no_wrap=True, overflow="ellipsis")
        if view.note:
            line.add_row(self._spinner, Text(view.note))
        return line

    def _mark(self, task: TaskView) -> RenderableType:
        if task.state == "running":
            return self._spinner
        sign, style = MARKS.get(task.state, ("·", "dim"))
        return Text(ASCII_MARKS[sign] if self._ascii else sign, style=style)

    def _images_line(self, images: ImagesProgress) -> RenderableType:
        text = Text(images_text(images), no_wrap=True, overflow="ellipsis")
        if self._console.width < BAR_COLUMNS:
            return text
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(ProgressBar(total=max(images.total, 1), completed=images.done, width=20), text)
        return line


def _is_running(view: RunView, name: str) -> bool:
    task = view.tasks.get(name)
    return task is not None and task.state == "running"


def _style(task: TaskView) -> str:
    if task.state == "running":
        return "bold"
    if task.state == "failed":
        return "bold red"
    return "" if task.state in ENDED and task.state != "skipped" else "dim"


def choose_display(console: Console) -> Display:
    """The live display on a terminal that can redraw, else plain lines."""
    return TerminalDisplay(console) if console.is_terminal and not console.is_dumb_terminal else PlainDisplay(console)

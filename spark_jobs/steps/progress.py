"""How far a step is: a line of its log and a small object, every few seconds."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from spark_jobs.steps.work_watch import WorkWatch
from spark_jobs.store.work_count import STORE_WORK

SECONDS_BETWEEN = 3.0


@dataclass(frozen=True)
class Progress:
    """A moment of featurize's work."""

    images_done: int
    images_total: int
    rejected: int
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Mean since the step began to compute; 0 before the first image."""
        return self.images_done / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the last image at this rate; None while the rate is not known."""
        if not self.images_done:
            return None
        return (self.images_total - self.images_done) / self.images_per_second

    def line(self) -> str:
        """The progress as the step's log shows it."""
        left = "time left not known yet" if self.seconds_left is None else f"{self.seconds_left:.0f} s left"
        return (
            f"featurize: {self.images_done}/{self.images_total} images, {self.images_per_second:.1f} images/s, "
            f"{left}, {self.rejected} rejected"
        )

    def to_json(self) -> dict[str, Any]:
        """The progress as `featurize.progress.json` holds it."""
        return {
            "images_done": self.images_done,
            "images_total": self.images_total,
            "rejected": self.rejected,
            "images_per_second": round(self.images_per_second, 1),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
        }


class StepReporter:
    """Tells how far a step is, and since when nothing has moved, while a `with` block runs and once more at its end.

    It never fails a step: progress that cannot be told is a line of the log.

    Args:
        step: the step's name, for its log.
        run_id: of the run.
        publish: takes the content of the progress object.
        phase: what the step begins with.
        finished: tells what is another after any finished part of the work (place/work_place.py).
        watch: remembers when the work last moved.
    """

    def __init__(
        self,
        step: str,
        run_id: str,
        publish: Callable[[Mapping[str, Any]], None],
        phase: str,
        finished: Callable[[], object],
        watch: WorkWatch | None = None,
    ) -> None:
        self._step = step
        self._run_id = run_id
        self._publish = publish
        self._phase = phase
        self._finished = finished
        self._figures: Callable[[], Progress | None] = lambda: None
        self._watch = watch or WorkWatch()
        self._tasks: object = ()
        self._line = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._report, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.tell()

    def enter(self, phase: str, figures: Callable[[], Progress] | None = None) -> None:
        """Begin a phase, with figures of its own or those that the one before it reached."""
        reached = self._figures()
        self._phase, self._figures = phase, figures or (lambda: reached)

    def tell(self) -> None:
        """Publish where the step is."""
        try:
            phase, figures = self._phase, self._figures()
            if figures is not None and figures.line() != self._line:
                self._line = figures.line()
                print(self._line, flush=True)
            self._publish(
                {
                    "run_id": self._run_id,
                    "phase": phase,
                    **(figures.to_json() if figures else {}),
                    "idle_seconds": round(self._watch.idle_seconds(self._mark(phase, figures)), 1),
                    "updated_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            )
        except Exception as error:  # noqa: BLE001 - see above; and a thread that ended would look like a step that hangs
            print(f"{self._step}: progress could not be stored: {error}", flush=True)

    def _mark(self, phase: str, figures: Progress | None) -> object:
        """What is another after any work, and the same without."""
        try:
            self._tasks = self._finished()
        except Exception as error:  # noqa: BLE001 - a JVM that does not answer has done nothing that we know of
            print(f"{self._step}: it is not told which parts are done: {type(error).__name__}", flush=True)
        images = (figures.images_done, figures.rejected) if figures else None
        return phase, images, STORE_WORK.value, self._tasks

    def _report(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN):
            self.tell()

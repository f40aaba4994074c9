"""How far the featurize step is: a line of its log and a small object, every few seconds."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from spark_jobs.job_errors import StepFailedError

SECONDS_BETWEEN = 3.0


@dataclass(frozen=True)
class Progress:
    """A moment of the step."""

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

    def to_json(self, run_id: str) -> dict[str, Any]:
        """The progress as `featurize.progress.json` holds it."""
        return {
            "run_id": run_id,
            "images_done": self.images_done,
            "images_total": self.images_total,
            "rejected": self.rejected,
            "images_per_second": round(self.images_per_second, 1),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left, 1),
            "updated_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class ProgressReporter:
    """Tells how far a step is while a `with` block runs, and once more at its end.

    Args:
        images_total: images of the step.
        done: gives images done and rejects so far.
        publish: takes each moment; a StepFailedError of it is not worth failing a step.
    """

    def __init__(
        self, images_total: int, done: Callable[[], tuple[int, int]], publish: Callable[[Progress], None]
    ) -> None:
        self._total = images_total
        self._done = done
        self._publish = publish
        self._ended = threading.Event()
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._report, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.tell()

    def now(self) -> Progress:
        """Where the step is; what a lost node makes Spark compute again is counted once."""
        done, rejected = self._done()
        return Progress(min(done, self._total), self._total, rejected, time.monotonic() - self._started)

    def tell(self) -> None:
        """Publish where the step is."""
        try:
            self._publish(self.now())
        except StepFailedError as error:
            print(f"featurize: progress could not be stored: {error}", flush=True)

    def _report(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN):
            self.tell()

"""One machine as the place: a pool of processes, with the nodes' packages and without Spark or a JVM."""

import contextlib
import functools
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spark_jobs.job_errors import CutOffError
from spark_jobs.place.work_place import Result, Work
from spark_jobs.worker.telemetry import TotalsByHost, add_by_host, worker_host

# As often as Spark tries a task (spark.task.maxFailures).
TRIES = 4
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class SharedFile:
    """Bytes in a file of this machine, which each worker reads once."""

    path: Path

    @property
    def value(self) -> bytes:
        """The bytes; those of the last two files stay in memory, the model's and the chunk's."""
        return _read_once(self.path)

    def unpersist(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


@functools.lru_cache(maxsize=2)
def _read_once(path: Path) -> bytes:
    return path.read_bytes()


class ProcessWorkers:
    """Some processes.

    Args:
        processes: how many.
        folder: for what they share; it is the caller's to delete.
    """

    def __init__(self, processes: int, folder: Path) -> None:
        self._processes = processes
        self._folder = folder
        self._shared = 0
        self._totals: TotalsByHost = {}
        self._others = {process.pid for process in multiprocessing.active_children()}
        self._pool = self._new_pool()

    @property
    def slots(self) -> int:
        """How many parts are worked on at the same time."""
        return self._processes

    @property
    def totals(self) -> TotalsByHost:
        """What the finished parts have measured."""
        return self._totals

    def share(self, content: bytes) -> SharedFile:
        """The bytes as a file."""
        self._shared += 1
        path = self._folder / str(self._shared)
        path.write_bytes(content)
        return SharedFile(path)

    def hand_out(self, work: Work[Result], parts: int) -> list[Result]:
        """Have each part done by the next process that is free; what a dead one had in hand is done again."""
        found: dict[int, Result] = {}
        for tries in range(1, TRIES + 1):
            try:
                self._hand_out(work, [part for part in range(parts) if part not in found], found)
            except BrokenProcessPool:
                self._pool.shutdown()
                self._pool = self._new_pool()
                print(f"a worker process died (try {tries} of {TRIES}); what it had in hand is done again", flush=True)
            else:
                return [found[part] for part in range(parts)]
        raise CutOffError(
            f"worker processes died {TRIES} times with the same images in hand, killed for memory as a rule: give the "
            "machine more memory, or work with fewer processes (VERGER_HERE_PROCESSES)"
        )

    def close(self, *, at_once: bool) -> None:
        """End the processes, when what they have in hand is done or at once."""
        if at_once:
            for process in multiprocessing.active_children():
                if process.pid not in self._others:
                    process.kill()
        self._pool.shutdown(cancel_futures=True)

    def _hand_out(self, work: Work[Result], parts: list[int], found: dict[int, Result]) -> None:
        futures = {self._pool.submit(work, part): part for part in parts}
        for future in as_completed(futures):
            found[futures[future]], measured = future.result()
            if measured:
                self._totals = add_by_host(self._totals, {worker_host(): measured})

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._processes, mp_context=_SPAWN, initializer=_begin)


class ProcessPlace:
    """This machine, with so many processes."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    @contextmanager
    def open(self, name: str) -> Iterator[ProcessWorkers]:  # noqa: ARG002 - WorkPlace's interface
        """Start the processes as they are needed."""
        with tempfile.TemporaryDirectory(prefix="verger-here-") as folder:
            workers = ProcessWorkers(self._processes, Path(folder))
            try:
                yield workers
            except BaseException:
                workers.close(at_once=True)
                raise
            workers.close(at_once=False)

    def finished(self) -> tuple[()]:
        """The workers' totals tell it all."""
        return ()


def _begin() -> None:
    """What a worker does first: it leaves Ctrl-C to its parent, dies with it, and before all others for memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    threading.Thread(target=_die_with_parent, name="parent watch", daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

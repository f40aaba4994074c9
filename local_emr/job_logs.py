"""The logs of a step or bootstrap action: three files on the node, gzipped to S3 in EMR's layout."""

from __future__ import annotations

import logging
import re
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local_emr.innermost_cause import innermost_cause
from local_emr.stored_files import StoredFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from local_emr.storage import Storage

_log = logging.getLogger(__name__)
_NAMES = ("controller", "stdout", "stderr")
_CHATTER = re.compile(
    r"\s|\d\d/\d\d/\d\d \d\d:\d\d:\d\d (?:TRACE|DEBUG|INFO|WARN|ERROR) |at \S+\(|\.\.\. \d+ more|WARNING:"
)
_LAST_WORDS = re.compile(r"(?:: |Caused by: )?(?:[\w.]+(?:Error|Exception|Exit|Interrupt)|[\w.-]+: error)\b(?=:|$)")
_HOW_LAST = 5  # lines
_COMPLAINT = re.compile(r"error|exception|fail|not found|denied|killed|refused", re.IGNORECASE)
_LONGEST_CAUSE = 1000  # characters
_TAIL = 256 * 1024  # bytes of each log that are searched for the cause
_GIVEN = re.compile(r"[\w.-]+: error\b")  # a program that says itself why it ended
#: Together ten minutes: longer than EMR's own copying of logs takes, which is repeated every five.
LAST_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, *[30.0] * 19)


class JobLogs:
    """`controller`, `stdout` and `stderr` of one job."""

    def __init__(self, folder: Path, target_uri: str | None, storage: Storage) -> None:
        """Keep the files in `folder`, which is made; `target_uri` none stores nothing."""
        folder.mkdir(parents=True, exist_ok=True)
        self.controller, self.stdout, self.stderr = (folder / name for name in _NAMES)
        for file in (self.controller, self.stdout, self.stderr):
            file.touch()
        self._target = target_uri
        self._storage = storage
        self._stored = StoredFiles(storage)
        self._publishing = threading.Lock()

    def note(self, text: str) -> None:
        """Add a line to the controller's log."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self.controller.open("a", encoding="utf-8") as file:
            file.write(f"{now} INFO {text}\n")

    def uri(self, name: str) -> str | None:
        """Where the file of that name is stored."""
        return None if self._target is None else f"{self._target}/{name}.gz"

    def publish(self) -> bool:
        """Store the files that grew since they were stored last; whether all are stored now.

        A failure is the server's to log, not the job's.
        """
        with self._publishing:
            stored = [self._publish(file) for file in (self.controller, self.stdout, self.stderr)]
        return all(stored)

    def _publish(self, file: Path) -> bool:
        uri = self.uri(file.name)
        return uri is None or self._stored.store(file, uri)

    def publish_last(self, pauses: Iterable[float] = LAST_PAUSES) -> None:
        """Store what is there at the job's end; when the store refuses, again after each of the pauses (seconds).

        That is done beside what follows: a store that is away delays no state of the step.
        """
        if not self.publish():
            threading.Thread(target=self._publish_again, args=(tuple(pauses),), name="last-logs", daemon=True).start()

    def _publish_again(self, pauses: Sequence[float]) -> None:
        for pause in pauses:
            if self._storage.closed.wait(pause):
                return
            try:
                if self.publish():
                    return
            except OSError as error:
                _log.error("the last logs of %s are no longer here: %s", self._target, error)
                return
        _log.error("the last logs of %s were not stored in %.0f s", self._target, sum(pauses))

    def cause(self) -> tuple[str, str]:
        """The line that most likely says why the job failed (empty if none), and the name of the log it is from.

        spark-submit passes on what a Python driver writes to stderr as stdout: its last words are looked for there.
        """
        stdout, stderr = _tail(self.stdout), _tail(self.stderr)
        words = last_words(stdout)
        if _GIVEN.match(words):
            return words, self.stdout.name
        for text, log in ((stdout, self.stdout), (stderr, self.stderr)):
            if cause := innermost_cause(text):
                return cause, log.name
        return words or root_cause(stderr), self.stdout.name if words else self.stderr.name


def _tail(file: Path) -> str:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _TAIL))
        return opened.read().decode("utf-8", errors="replace")


def root_cause(stderr: str) -> str:
    """The last line that complains, else the last that is neither log chatter nor part of a stack trace."""
    said = [line.rstrip() for line in stderr.splitlines() if line.strip() and not _CHATTER.match(line)]
    complaints = [line for line in said if _COMPLAINT.search(line)]
    return (complaints or said or [""])[-1][:_LONGEST_CAUSE]


def last_words(stdout: str) -> str:
    """The exception or error message with which a program ended; empty if it did not end so."""
    end = [line.rstrip() for line in stdout.splitlines() if line.strip() and not _CHATTER.match(line)][-_HOW_LAST:]
    words = next((line for line in reversed(end) if _LAST_WORDS.match(line)), "")
    return words.removeprefix(": ")[:_LONGEST_CAUSE]

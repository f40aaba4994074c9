"""The logs of a step or bootstrap action: three files on the node, gzipped to S3 in EMR's layout."""

from __future__ import annotations

import gzip
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local_emr.storage import Storage, StorageError

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)
_NAMES = ("controller", "stdout", "stderr")
_CHATTER = re.compile(
    r"\s|\d\d/\d\d/\d\d \d\d:\d\d:\d\d (?:TRACE|DEBUG|INFO|WARN|ERROR) |at \S+\(|\.\.\. \d+ more|WARNING:"
)
_LAST_WORDS = re.compile(r"(?:: |Caused by: )?(?:[\w.]+(?:Error|Exception|Exit|Interrupt)|[\w.-]+: error)\b(?=:|$)")
_HOW_LAST = 5  # lines
_COMPLAINT = re.compile(r"error|exception|fail|not found|denied|killed|refused", re.IGNORECASE)
_LONGEST_CAUSE = 1000  # characters
_TAIL = 256 * 1024  # bytes of stderr that are searched for the cause


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
        self._published: dict[Path, int] = {}

    def note(self, text: str) -> None:
        """Add a line to the controller's log."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self.controller.open("a", encoding="utf-8") as file:
            file.write(f"{now} INFO {text}\n")

    def uri(self, name: str) -> str | None:
        """Where the file of that name is stored."""
        return None if self._target is None else f"{self._target}/{name}.gz"

    def publish(self) -> None:
        """Store the files that grew since they were stored last; a failure is the server's to log, not the job's."""
        for file in (self.controller, self.stdout, self.stderr):
            uri = self.uri(file.name)
            if uri is None or self._published.get(file) == file.stat().st_size:
                continue
            content = file.read_bytes()
            try:
                self._storage.upload(uri, gzip.compress(content, mtime=0))
            except StorageError as error:
                _log.warning("a log was not stored: %s", error)
                continue
            self._published[file] = len(content)

    def cause(self) -> tuple[str, str]:
        """The line that most likely says why the job failed (empty if none), and the name of the log it is from.

        spark-submit passes on what a Python driver writes to stderr as stdout: its last words are looked for there.
        """
        words = last_words(_tail(self.stdout))
        if words:
            return words, self.stdout.name
        return root_cause(_tail(self.stderr)), self.stderr.name


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

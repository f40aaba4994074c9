"""The sign that a worker gives while it works at a long partition.

A step's own count moves when a partition is done. A thousand photographs of several MB take a core many minutes, in
which nobody could tell a slow step from one that hangs.
"""

import json
import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime

from verger_rules.addresses import S3Address

from spark_jobs.store.object_store import StoreSettings, write_in_passing

SECONDS_BETWEEN = 60.0


class WorkerSign:
    """Replaces a small object, at most once in a while, and only after images were answered.

    A partition that takes less than that leaves none. A sign that cannot be stored fails nothing.

    Args:
        folder: where the signs of all workers lie; each process has an object of its own.
        images: of the partition.
        clock: seconds that nobody sets.
    """

    def __init__(
        self, settings: StoreSettings, folder: S3Address, images: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._address = folder.child(f"{socket.gethostname()}-{os.getpid()}.json")
        self._images = images
        self._clock = clock
        self._answered = 0
        self._given = clock()

    def answered(self, images: int) -> None:
        """Count images that have their rows, and give the sign when it is time."""
        self._answered += images
        if self._clock() - self._given < SECONDS_BETWEEN:
            return
        self._given = self._clock()
        sign = {
            "images_done": self._answered,
            "images_total": self._images,
            "updated_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        write_in_passing(self._settings, self._address, json.dumps(sign).encode())

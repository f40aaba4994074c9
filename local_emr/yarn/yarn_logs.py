"""The logs of YARN: its containers' and its daemons', gzipped to S3 where EMR puts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_emr.stored_files import StoredFiles
from local_emr.yarn.hadoop_conf import container_logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_emr.storage import Storage


class YarnLogs:
    """Stores what has grown; `target` is the cluster's log folder, none stores nothing."""

    def __init__(self, target: str | None, storage: Storage) -> None:
        """Store nothing yet."""
        self._target = target
        self._files = StoredFiles(storage)

    def store_containers(self, root: Path) -> None:
        """The logs of the containers of one node: `containers/<application>/<container>/<file>.gz`."""
        if self._target is None:
            return
        for file in _files_of(container_logs(root)):
            place = file.relative_to(container_logs(root)).as_posix()
            self._files.store(file, f"{self._target}/containers/{place}.gz")

    def store_daemon(self, log: Path, ec2_instance_id: str) -> None:
        """The log of one daemon: `node/<instance>/applications/hadoop-yarn/<file>.gz`."""
        if self._target is not None and log.exists():
            self._files.store(log, f"{self._target}/node/{ec2_instance_id}/applications/hadoop-yarn/{log.name}.gz")


def _files_of(folder: Path) -> Iterator[Path]:
    for application in sorted(folder.glob("application_*")):
        for container in sorted(application.glob("container_*")):
            yield from (file for file in sorted(container.iterdir()) if file.is_file())

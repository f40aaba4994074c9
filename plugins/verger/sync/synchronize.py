"""Makes the bucket's pictures those of a source: only what changed, several at a time."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from verger.storage.file_names import printable, system_part
from verger.storage.layout import BucketLayout
from verger.storage.left_out import LeftOut, count_files, summarize_left_out
from verger.sync.pictures import Source, SourceError, SourcePicture, StoredPicture, UnreadableError
from verger.sync.stored import is_unchanged, list_objects

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

#: DeleteObjects takes at most this many keys a call.
_DELETE_BATCH = 1000
_THREADS = 16
_REPORT_SECONDS = 10


@dataclass(frozen=True)
class SyncPlan:
    """What is to be copied and deleted, and what was left out.

    Attributes:
        copy: pictures that are new or changed.
        unchanged: how many the bucket has already.
        delete: keys that the source does not have; empty unless asked for.
        left_out: what is no picture, or cannot be one here.
    """

    copy: tuple[SourcePicture, ...]
    unchanged: int
    delete: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def counts(self) -> dict[str, int]:
        """The plan in numbers."""
        return {
            "copied": len(self.copy),
            "unchanged": self.unchanged,
            "deleted": len(self.delete),
            "left_out": count_files(self.left_out),
        }

    def to_dict(self) -> dict[str, Any]:
        """The plan as `sync.json` holds it (docs/formats.md)."""
        return {
            **self.counts(),
            "left_out_reasons": summarize_left_out(self.left_out)["reasons"],
            "left_out_files": [entry.to_dict() for entry in self.left_out],
            "deleted_keys": list(self.delete),
        }


def synchronize(
    s3: "S3Client",
    layout: BucketLayout,
    source: Source,
    *,
    delete_missing: bool = False,
    delete_more_than_half: bool = False,
) -> SyncPlan:
    """Make the bucket's pictures those of a source; returns what was done.

    A picture of the source that cannot be read is left out, and the bucket keeps what it has of it. One that cannot be
    stored ends the sync with its error; what was copied stays, and the next sync goes on.

    Raises SourceError, before anything is copied, when more than half of the bucket's pictures would be deleted.
    """
    present = list_objects(s3, layout.address(layout.images_prefix))
    plan = plan_sync(s3, layout, source, present, delete_missing=delete_missing)
    if not delete_more_than_half:
        _check_half(plan, present, layout)
    log.info("to copy: %d pictures; unchanged: %d", len(plan.copy), plan.unchanged)
    unreadable = _Unreadable()
    for_each(plan.copy, unreadable.watch(lambda picture: source.copy(picture, s3, layout.bucket)), "copied")
    plan = replace(
        plan,
        copy=tuple(picture for picture in plan.copy if picture.key not in unreadable.found),
        left_out=(*plan.left_out, *unreadable.left_out()),
    )
    _delete(s3, layout.bucket, plan.delete)
    return plan


def plan_sync(
    s3: "S3Client",
    layout: BucketLayout,
    source: Source,
    present: Mapping[str, StoredPicture],
    *,
    delete_missing: bool,
) -> SyncPlan:
    """Compare a source with what the bucket has (by key)."""
    pictures, left_out = source.pictures()
    same_size = [
        picture for picture in pictures if picture.key in present and present[picture.key].size == picture.size
    ]
    unchanged: set[str] = set()
    unreadable = _Unreadable()

    def compare(picture: SourcePicture) -> None:
        if is_unchanged(s3, layout.bucket, picture, present[picture.key], source.content(picture)):
            unchanged.add(picture.key)

    for_each(same_size, unreadable.watch(compare), "compared")
    left_out += unreadable.left_out()
    missing = missing_keys(present, pictures, left_out) if delete_missing else []
    return SyncPlan(
        copy=tuple(
            picture for picture in pictures if picture.key not in unchanged and picture.key not in unreadable.found
        ),
        unchanged=len(unchanged),
        delete=tuple(missing),
        left_out=tuple(left_out),
    )


def missing_keys(present: Iterable[str], pictures: Iterable[SourcePicture], left_out: Iterable[LeftOut]) -> list[str]:
    """The bucket's keys that the source does not have: neither as a picture nor as, or in, what was left out of it."""
    there = {picture.key for picture in pictures}
    # A file without a name, as a zip can have one, would keep everything.
    kept = {key for entry in left_out if entry.name for key in (entry.key, entry.key.rstrip("/"))}
    return sorted(key for key in set(present) - there if not any(part in kept for part in _and_folders(key)))


def _and_folders(key: str) -> Iterator[str]:
    yield key
    end = len(key)
    while (end := key.rfind("/", 0, end)) > 0:
        yield key[:end]


def _check_half(plan: SyncPlan, present: Iterable[str], layout: BucketLayout) -> None:
    def pictures(keys: Iterable[str]) -> list[str]:
        # However many files of systems there are, they are not what somebody would miss.
        return [key for key in keys if system_part(key.removeprefix(layout.images_prefix)) is None]

    lost, there = pictures(plan.delete), len(pictures(present))
    if 2 * len(lost) > there:
        raise SourceError(
            f"delete_missing would delete {len(lost):,} of the bucket's {there:,} pictures, more than half of "
            f"them, beginning with {lost[0]!r}: nothing was copied or deleted. Is the source the right one, and "
            "is it whole? If so, set delete_more_than_half as well"
        )


class _Unreadable:
    """Collects what could not be read, from many threads."""

    def __init__(self) -> None:
        #: By key.
        self.found: dict[str, LeftOut] = {}

    def watch(self, work: Callable[[SourcePicture], None]) -> Callable[[SourcePicture], None]:
        """The same work, which leaves out what cannot be read."""

        def watched(picture: SourcePicture) -> None:
            try:
                work(picture)
            except UnreadableError as error:
                self.found[picture.key] = LeftOut(printable(picture.name), str(error), picture.key)

        return watched

    def left_out(self) -> list[LeftOut]:
        """What was found, by name."""
        return sorted(self.found.values(), key=lambda entry: entry.name)


def for_each(pictures: Sequence[SourcePicture], work: Callable[[SourcePicture], None], done: str) -> None:
    """Do a work for each picture, several at a time; the first error ends it, and says how many were done."""
    started, finished = time.monotonic(), 0
    with _threads() as threads:
        rest = iter(pictures)
        pending: set[Future[None]] = set()
        reported = started
        while True:
            # As many as keep the threads busy: 40,000 waiting ones would have to be called off when one fails.
            pending |= {threads.submit(work, picture) for picture in islice(rest, 4 * _THREADS - len(pending))}
            if not pending:
                return
            over, pending = wait(pending, timeout=_REPORT_SECONDS, return_when=FIRST_COMPLETED)
            for future in over:
                future.result()
            finished += len(over)
            if time.monotonic() - reported >= _REPORT_SECONDS:
                reported = time.monotonic()
                log.info("%s: %d of %d, %.0f/s", done, finished, len(pictures), finished / (reported - started))


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="sync")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def _delete(s3: "S3Client", bucket: str, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), _DELETE_BATCH):
        batch = keys[start : start + _DELETE_BATCH]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True})
        if errors := answer.get("Errors"):
            raise OSError(f"{errors[0]['Key']!r} could not be deleted: {errors[0]['Message']}")

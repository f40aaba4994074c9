"""Fetching images by key, many at a time: what comes back is the bytes, or why there are none."""

import http
import random
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import obstore
from obstore.exceptions import BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from verger_rules.addresses import is_readable_key, parse_object_uri

from spark_jobs.job_errors import StoreUnavailableError
from spark_jobs.store.object_store import StoreSettings, open_store

ATTEMPTS = 11
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 20.0
# Answers that pass when the store has less to do: they say nothing about the image.
THROTTLED = frozenset({408, 429, 502, 503, 504})
# Of an image these have classes of their own: in a GenericError it was who gives the credentials that answered so.
NOT_OF_THE_IMAGE = frozenset({401, 403, 404})
TOO_MANY_BYTES = "too_many_bytes"


class ImageItem(NamedTuple):
    """One row of the manifest."""

    path: str
    etag: str
    label: str
    size: int


@dataclass(frozen=True)
class FetchedImage:
    """What a read came to.

    Attributes:
        item: the row of the manifest.
        content: the bytes, or None with a reason.
        etag: the object's own etag at the moment of reading; the manifest's when it was not read.
        reason, detail: why there are no bytes (stage `read` of docs/formats.md).
        retries: attempts beyond the first.
        seconds: from the first attempt to the end, pauses included.
    """

    item: ImageItem
    content: bytes | None
    etag: str
    reason: str = ""
    detail: str = ""
    retries: int = 0
    seconds: float = 0.0


class FetchLimits(NamedTuple):
    """How much may be in flight or waiting in one worker.

    Attributes:
        threads: reads at the same time.
        waiting_bytes: sum of the sizes of images fetched or being fetched, one image excepted; whatever they were when
            they were listed.
        image_bytes: largest image read at all.
    """

    threads: int
    waiting_bytes: int
    image_bytes: int


def fetch_ahead(items: Iterable[ImageItem], settings: StoreSettings, limits: FetchLimits) -> Iterator[FetchedImage]:
    """Fetch images concurrently and yield them in order, never holding more than the limits say.

    Raises:
        StoreUnavailableError: the store did not answer however long we waited.
    """
    stopped = threading.Event()
    pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="fetch")
    try:
        yield from _in_order(items, settings, limits, pool, stopped)
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    items: Iterable[ImageItem],
    settings: StoreSettings,
    limits: FetchLimits,
    pool: ThreadPoolExecutor,
    stopped: threading.Event,
) -> Iterator[FetchedImage]:
    remaining = iter(items)
    upcoming = next(remaining, None)
    window: deque[tuple[int, Future[FetchedImage]]] = deque()
    held = 0
    while window or upcoming is not None:
        filling = _is_low(window, held, limits)
        while filling and upcoming is not None and _has_room(window, held, upcoming, limits):
            cost = _cost(upcoming, limits)
            window.append((cost, pool.submit(fetch_image, upcoming, settings, cost, stopped)))
            held += cost
            upcoming = next(remaining, None)
        cost, future = window.popleft()
        held -= cost
        got = future.result()
        if got.reason == TOO_MANY_BYTES and cost < limits.image_bytes:
            # It grew since it was listed: now that its turn has come, nobody else reads one like it.
            got = fetch_image(got.item, settings, limits.image_bytes, stopped)
        yield got


def _cost(item: ImageItem, limits: FetchLimits) -> int:
    """The most bytes that are read of an image before its turn, all of which it may hold while it waits.

    That is its size, or a little that any image may have: one that has hardly grown since it was listed is read ahead
    too. All of the window together cannot take more than a quarter of the limit by that, so small images never wait.
    """
    little = limits.waiting_bytes // (8 * limits.threads)
    return min(max(item.size, little), limits.image_bytes)


def _is_low(window: deque[tuple[int, Future[FetchedImage]]], held: int, limits: FetchLimits) -> bool:
    """Whether it is time to ask for more: many at once, then none for a while.

    One new read for each image taken would wake a thread, the client and the server for every image, between two calls
    of the model, and cost the model a tenth of its speed.
    """
    return len(window) <= limits.threads and held <= limits.waiting_bytes // 2


def _has_room(window: deque[tuple[int, Future[FetchedImage]]], held: int, item: ImageItem, limits: FetchLimits) -> bool:
    if not window:
        return True
    return len(window) < 2 * limits.threads and held + _cost(item, limits) <= limits.waiting_bytes


def fetch_image(item: ImageItem, settings: StoreSettings, image_bytes: int, stopped: threading.Event) -> FetchedImage:
    """Read one image, retrying what passes; says why when it cannot be read for good.

    An object replaced since it was listed is read as what it is now, with its own etag.

    Raises:
        StoreUnavailableError: every attempt was throttled, cut off or timed out.
    """
    started = time.perf_counter()
    failure = Failure("", "", passing=True, throttled=False)
    for attempt in range(ATTEMPTS):
        if attempt and stopped.wait(pause_before(attempt)):
            break
        outcome = _read_once(item, settings, image_bytes)
        if not isinstance(outcome, Failure):
            content, etag = outcome
            return FetchedImage(item, content, etag, retries=attempt, seconds=time.perf_counter() - started)
        failure = outcome
        if not failure.passing:
            break
    if failure.throttled:
        raise StoreUnavailableError(
            f"{item.path} could not be read in {ATTEMPTS} attempts: {failure.detail}. The store refuses for now: "
            "run again later, or with fewer --fetch-threads; committed chunks are kept"
        )
    seconds = time.perf_counter() - started
    return FetchedImage(item, None, item.etag, failure.reason, failure.detail, attempt, seconds)


def pause_before(attempt: int) -> float:
    """Seconds to wait before an attempt (1 is the first retry): exponential, with full jitter above a half."""
    longest = min(FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1), LONGEST_PAUSE_SECONDS)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter is no secret


class Failure(NamedTuple):
    """Why one attempt gave no bytes; `passing` is worth another attempt, `throttled` is not the image's fault."""

    reason: str
    detail: str
    passing: bool
    throttled: bool


UNSUPPORTED_KEY = Failure(
    "unsupported_key",
    "a key with an empty segment, a segment . or .., a / at an end or a control character cannot be read here: "
    "rename the object and run again",
    passing=False,
    throttled=False,
)


def _read_once(item: ImageItem, settings: StoreSettings, image_bytes: int) -> tuple[bytes, str] | Failure:
    address = parse_object_uri(item.path)
    if not is_readable_key(address.key):
        # obstore would take a `/` at an end away, and read another object.
        return UNSUPPORTED_KEY
    store = open_store(settings, address.bucket)
    try:
        answer = obstore.get(store, address.key)
        size = answer.meta["size"]
        etag = (answer.meta["e_tag"] or item.etag).strip('"')
        content = bytes(answer.bytes()) if size <= image_bytes else b""
    except (BaseError, FileNotFoundError) as error:
        return classify(error)
    if size > image_bytes:
        detail = f"{size} bytes; --max-image-bytes is {image_bytes}"
        return Failure(TOO_MANY_BYTES, detail, passing=False, throttled=False)
    return content, etag


def classify(error: Exception) -> Failure:
    """What an error of the store means for an image: by its class, and a GenericError by the HTTP status in its text.

    The text is read for what has no class: 408, 410, 416, 429, 5xx, and no answer at all.
    """
    detail = _short(error)
    if isinstance(error, FileNotFoundError):
        return Failure("gone", detail, passing=False, throttled=False)
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return Failure("forbidden", detail, passing=False, throttled=False)
    if not isinstance(error, GenericError):
        # Conflicts and conditions, which no plain GET asks for: worth another attempt, and then the image's own row.
        return Failure("unreadable", detail, passing=True, throttled=False)
    status = _status(error)
    if status is None or status in THROTTLED | NOT_OF_THE_IMAGE:
        return Failure("unreadable", detail, passing=True, throttled=True)
    if status == http.HTTPStatus.GONE:
        return Failure("gone", detail, passing=False, throttled=False)
    return Failure("unreadable", detail, passing=status >= http.HTTPStatus.INTERNAL_SERVER_ERROR, throttled=False)


def _status(error: GenericError) -> int | None:
    """The HTTP status that an error's text tells; None: there was no whole answer."""
    found = re.search(r"status code: (\d{3})\b", str(error))
    return int(found.group(1)) if found else None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]

"""A download that goes on where it was interrupted, and is not taken for whole before it is."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 1.0
TIMEOUT_SECONDS = 60
BLOCK = 1 << 20
PARTIAL, WHOLE, RANGE_REFUSED = 206, 200, 416
#: Answers that pass: the server is busy, or a gateway before it is.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(Exception):
    """A file could not be fetched, or is not what it should be; the message says what to do."""


@dataclass(frozen=True)
class Version:
    """What a server says of the file it sends, so that two halves of two different files are never put together.

    Attributes:
        url: where it was asked for.
        etag: its entity tag; empty when the server gives none, then nothing can be resumed.
        length: its bytes; None when the server does not say.
    """

    url: str
    etag: str
    length: int | None


def download(
    url: str, target: Path, report: Callable[[int, int | None], None], pause: float = FIRST_PAUSE_SECONDS
) -> None:
    """Fetch a file to `target`; what an earlier attempt left in `<target>.part` is kept and continued.

    Raises:
        DownloadError: the address is no http(s) one, the server refuses, or it stops again and again.
    """
    if not url.startswith(("https://", "http://")):
        raise DownloadError(f"{url!r} is no http address: give one that begins with https://")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            if _continue(url, target, report):
                return
            reason = "the connection ended early"
        except urllib.error.HTTPError as error:
            if error.code not in PASSING:
                raise DownloadError(f"{url} answers {error.code} {error.reason}: give another --url") from error
            reason = f"{error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error))
        if attempt < ATTEMPTS:
            time.sleep(pause * 2 ** (attempt - 1))
    raise DownloadError(
        f"{url} could not be fetched in {ATTEMPTS} attempts: {reason}. Run again: it goes on from there"
    )


def _continue(url: str, target: Path, report: Callable[[int, int | None], None]) -> bool:
    """One attempt; whether the file is whole now."""
    part, note = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.part.json")
    known = _known(note, url)
    have = part.stat().st_size if known and known.etag and part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "verger", "Accept-Encoding": "identity"})  # noqa: S310 - checked by download
    if known and have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", known.etag)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310 - the same
    except urllib.error.HTTPError as error:
        if error.code != RANGE_REFUSED:
            raise
        # We have as much as there is, or more than that of another file: only what its length says is whole.
        return _finish(part, note, target, known) if known and have == known.length else _start_over(part, note)
    with answer:
        if answer.status == PARTIAL and known and _starts_at(answer.headers.get("Content-Range"), have):
            version, mode = known, "ab"
        else:
            version, have, mode = _version(url, answer.headers), 0, "wb"
            note.write_text(json.dumps(asdict(version)))
        _check_room(part, version, have)
        with part.open(mode) as file:
            _copy(answer, file, have, version.length, report)
    return _finish(part, note, target, version)


def _known(note: Path, url: str) -> Version | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        version = Version(**json.loads(note.read_text()))
        return version if version.url == url else None
    return None


def _version(url: str, headers: http.client.HTTPMessage) -> Version:
    etag, length = headers.get("ETag", ""), headers.get("Content-Length")
    # A weak tag does not promise the same bytes (RFC 9110, 8.8.1).
    return Version(url, "" if etag.startswith("W/") else etag, int(length) if length else None)


def _starts_at(content_range: str | None, have: int) -> bool:
    return (content_range or "").startswith(f"bytes {have}-")


def _check_room(part: Path, version: Version, have: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if version.length is not None and free < version.length - have:
        raise DownloadError(
            f"{version.length - have:,} bytes are to come, and {part.parent} has {free:,} left: make room, run again"
        )


def _copy(
    answer: http.client.HTTPResponse,
    file: IO[bytes],
    have: int,
    length: int | None,
    report: Callable[[int, int | None], None],
) -> None:
    while block := answer.read(BLOCK):
        file.write(block)
        have += len(block)
        report(have, length)


def _finish(part: Path, note: Path, target: Path, version: Version) -> bool:
    """Take the part for the whole when its length is right."""
    have = part.stat().st_size
    if version.length is not None and have < version.length:
        return False
    if version.length is not None and have > version.length:
        return _start_over(part, note)
    part.replace(target)
    note.unlink(missing_ok=True)
    return True


def _start_over(part: Path, note: Path) -> bool:
    part.unlink(missing_ok=True)
    note.unlink(missing_ok=True)
    return False


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

"""Fetches a file over https; a connection that breaks, or a process that dies, goes on where it was."""

import contextlib
import hashlib
import http.client
import json
import logging
import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, NoReturn
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 60
_BLOCK = 1 << 20
_TRIES = 8
_FIRST_PAUSE_SECONDS = 1.0
#: What stays free on the disk.
_RESERVE_BYTES = 1_000_000_000
_PARTIAL, _OUT_OF_RANGE = 206, 416
#: Answers that pass: the server is busy, or a gateway before it is.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

#: Is told how many bytes are there, and of how many if the server says so.
Report = Callable[[int, int | None], None]


class DownloadError(ValueError):
    """A file cannot be fetched; the message begins with its address, without what could be a token."""


class _SameSchemes(urllib.request.HTTPRedirectHandler):
    """Follows redirects to addresses that could have been given in the first place only."""

    def __init__(self, schemes: Collection[str]) -> None:
        self._schemes = schemes

    def redirect_request(self, *answer: Any, **more: Any) -> urllib.request.Request | None:  # noqa: ANN401 -- urllib's
        """Look at the address before it is followed."""
        _, response, *_, address = answer
        try:
            check_address(address, self._schemes)
        except DownloadError:
            response.close()
            raise
        return super().redirect_request(*answer, **more)


def check_address(address: str, schemes: Collection[str] = ("https",)) -> None:
    """Raise DownloadError for an address that is not plain https (or of the given schemes)."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:  # a broken IPv6 address, or a port that is not a number
        raise DownloadError("this is not an address: write it like https://host/file.zip") from error
    if parts.scheme not in schemes or not host:
        raise DownloadError(f"{shown(address)!r}: only {' and '.join(sorted(schemes))} addresses are fetched")
    if parts.username or parts.password:
        raise DownloadError(f"{shown(address)!r}: leave the password out, it would stand in the run's record")
    # urllib refuses these itself, with a message that holds the whole address, and in it perhaps a token.
    if not address.isascii() or not address.isprintable() or " " in address:
        raise DownloadError(f"{shown(address)!r}: write spaces and accents percent-encoded, a space as %20")


def shown(address: str) -> str:
    """An address as it may stand in a log: without what could be a password or a token."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


@dataclass(frozen=True)
class _Version:
    """What a server says of the file it sends, so that two halves of two different files are never put together.

    Attributes:
        address: a digest of where it was asked for.
        etag: its entity tag; empty when the server gives no strong one, then nothing can be resumed.
        length: its bytes; None when the server does not say.
    """

    address: str
    etag: str
    length: int | None


class Download:
    """A file that comes over https to its place when it is whole; what there is of it waits in `<file>.part`."""

    def __init__(
        self,
        address: str,
        file: Path,
        *,
        authorization: str = "",
        schemes: Collection[str] = ("https",),
        report: Report = lambda *_: None,
        first_pause: float = _FIRST_PAUSE_SECONDS,
    ) -> None:
        """Raises DownloadError for an address of another scheme; `authorization` is for its host alone."""
        check_address(address, schemes)
        self.address = address
        self.file = file
        self._authorization = authorization
        self._schemes = schemes
        self._report = report
        self._first_pause = first_pause
        self._part = file.with_name(f"{file.name}.part")
        self._note = file.with_name(f"{file.name}.part.json")
        # Not the address itself: it may hold a token, and the note outlives a process that was killed.
        self._digest = hashlib.sha256(address.encode()).hexdigest()

    def fetch(self) -> Path:
        """Fetch what is missing; raises DownloadError when the server cannot or will not give it.

        A file that is at its place already is asked for again unless the server says that it is still the same.
        """
        if self.file.exists():
            self.file.replace(self._part)
        reason = ""
        for attempt in range(1, _TRIES + 1):
            try:
                if self._fetch_rest():
                    return self.file
                reason = "the connection ended early"
            except urllib.error.HTTPError as error:
                error.close()
                reason = f"the server answers {error.code} {error.reason}"
                if error.code not in _PASSING:
                    self._fail(reason)
            except (http.client.HTTPException, OSError) as error:
                reason = f"it cannot be fetched ({getattr(error, 'reason', error)})"
            if attempt < _TRIES:
                log.warning("%s: %s; going on at %d bytes", shown(self.address), reason, self._have())
                time.sleep(self._first_pause * 2 ** (attempt - 1))
        return self._fail(f"{reason}, {_TRIES} times. Run again: it goes on from there")

    def settle(self) -> None:
        """Forget what the server said of a file that is whole and stays: it will not be asked for again."""
        self._note.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove what was fetched."""
        for file in (self.file, self._part, self._note):
            file.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise DownloadError when there is nothing at the address, or not a zip; fetches a few bytes."""
        try:
            with self._open({"Range": "bytes=0-3"}) as answer:
                if not answer.read(4).startswith(b"PK"):
                    self._fail("there is no zip file at this address")
        except urllib.error.HTTPError as error:
            error.close()
            self._fail(f"the server answers {error.code} {error.reason}")
        except (http.client.HTTPException, OSError) as error:
            self._fail(f"it cannot be fetched ({getattr(error, 'reason', error)})")

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0

    def _fetch_rest(self) -> bool:
        """One attempt; whether the file is whole now."""
        known = self._known()
        have = self._have() if known and known.etag else 0
        # Without If-Range the rest of another version could be joined to what is here.
        headers = {"Range": f"bytes={have}-", "If-Range": known.etag} if known and have else {}
        try:
            answer = self._open(headers)
        except urllib.error.HTTPError as error:
            if error.code != _OUT_OF_RANGE:
                raise
            error.close()
            # We have as much as there is, or more than that of another file: only what its length says is whole.
            of_all = {f"bytes */{have}", None} if known and have == known.length else {f"bytes */{have}"}
            return self._finish(have) if known and error.headers.get("Content-Range") in of_all else self._start_over()
        with answer:
            if answer.status == _PARTIAL:
                if not (known and have and _starts_at(answer, have)):
                    return self._start_over()
                version, mode = known, "ab"
            else:
                version, have, mode = self._version(answer), 0, "wb"
                self._note.write_text(json.dumps(asdict(version)), "utf-8")
            self._check_room((version.length or 0) - have)
            with self._part.open(mode) as output:
                self._copy(answer, output, have, version.length)
        return self._finish(version.length)

    def _known(self) -> _Version | None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            version = _Version(**json.loads(self._note.read_text("utf-8")))
            return version if version.address == self._digest else None
        return None

    def _version(self, answer: http.client.HTTPResponse) -> _Version:
        etag, length = answer.headers.get("ETag", ""), answer.headers.get("Content-Length", "")
        # A weak tag does not promise the same bytes (RFC 9110, 8.8.1).
        return _Version(self._digest, "" if etag.startswith("W/") else etag, int(length) if length.isdigit() else None)

    def _copy(self, answer: http.client.HTTPResponse, output: IO[bytes], have: int, length: int | None) -> None:
        while block := answer.read(_BLOCK):
            output.write(block)
            have += len(block)
            self._report(have, length)
            if have % (64 * _BLOCK) < _BLOCK:
                self._check_room(0)

    def _finish(self, length: int | None) -> bool:
        """Take the part for the whole when its length is right."""
        have = self._have()
        if length is not None and have < length:
            return False
        if length is not None and have > length:
            return self._start_over()
        self._part.replace(self.file)
        log.info("fetched %s: %d bytes", shown(self.address), have)
        return True

    def _start_over(self) -> bool:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        return False

    def _check_room(self, expected: int) -> None:
        free = shutil.disk_usage(self.file.parent).free
        if expected + _RESERVE_BYTES > free:
            self._fail(
                f"its {expected:,} bytes do not fit the disk of {self.file.parent}, where {free:,} are free and "
                f"{_RESERVE_BYTES:,} stay so: make room, run again"
            )

    def _open(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        request = urllib.request.Request(  # noqa: S310 -- the scheme is checked
            self.address, headers={"User-Agent": "verger", "Accept-Encoding": "identity", **headers}
        )
        if self._authorization:
            # Where a redirect leads is not told.
            request.add_unredirected_header("Authorization", self._authorization)
        opener = urllib.request.build_opener(*_handlers(self._schemes))
        answer: http.client.HTTPResponse = opener.open(request, timeout=_TIMEOUT_SECONDS)
        return answer

    def _fail(self, what: str) -> NoReturn:
        raise DownloadError(f"{shown(self.address)!r}: {what}")


def _handlers(schemes: Collection[str]) -> list[urllib.request.BaseHandler]:
    return [_SameSchemes(schemes)]


def _starts_at(answer: http.client.HTTPResponse, have: int) -> bool:
    return (answer.headers.get("Content-Range") or "").startswith(f"bytes {have}-")


def private_file(address: str, ending: str) -> Path:
    """Where a file of an address is kept meanwhile: in a temporary folder of this user's alone."""
    folder = Path(tempfile.gettempdir()) / f"verger-downloads-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    # Somebody else could have made it first, to put another file under a picture's name.
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
        raise DownloadError(f"{folder} is not this user's alone: remove it")
    return folder / f"{hashlib.sha256(address.encode()).hexdigest()[:32]}{ending}"


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

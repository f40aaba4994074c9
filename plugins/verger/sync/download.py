"""Fetches a zip over https; a connection that breaks, or a task that dies, goes on where it was."""

import hashlib
import http.client
import logging
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any, NoReturn
from urllib.parse import urlsplit

from verger.sync.pictures import SourceError

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 60
_BLOCK = 1 << 20
_TRIES = 6
#: What stays free on the disk.
_RESERVE_BYTES = 1_000_000_000
_PARTIAL, _OUT_OF_RANGE = 206, 416


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https addresses only."""

    def redirect_request(self, *answer: Any, **more: Any) -> urllib.request.Request | None:  # noqa: ANN401 -- urllib's
        """Look at the address before it is followed."""
        _, response, *_, address = answer
        try:
            check_address(address)
        except SourceError:
            response.close()
            raise
        return super().redirect_request(*answer, **more)


def check_address(address: str) -> None:
    """Raise SourceError for an address that is not plain https."""
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname:
        raise SourceError(f"source is {shown(address)!r}: only https addresses are fetched")
    if parts.username or parts.password:
        raise SourceError(f"source is {shown(address)!r}: leave the password out, it would stand in the run's record")
    # urllib refuses these itself, with a message that holds the whole address, and in it perhaps a token.
    if not address.isascii() or not address.isprintable() or " " in address:
        raise SourceError(f"source is {shown(address)!r}: write spaces and accents percent-encoded, a space as %20")


def shown(address: str) -> str:
    """An address as it may stand in a log: without what could be a password or a token."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


class Download:
    """A file that comes over https into a folder of this user's alone."""

    def __init__(self, address: str, folder: Path | None = None, *, authorization: str = "") -> None:
        """Raises SourceError for an address that is not plain https; `authorization` is for its host alone."""
        check_address(address)
        self.address = address
        self._authorization = authorization
        folder = folder or _private_folder()
        self.file = folder / f"{hashlib.sha256(address.encode()).hexdigest()[:32]}.zip"
        #: What the server said the file is, beside the part of it that is here.
        self._version = self.file.with_suffix(".version")

    def fetch(self) -> Path:
        """Fetch what is missing; raises SourceError when the server cannot or will not give it."""
        for attempt in range(1, _TRIES + 1):
            try:
                self._fetch_rest()
            except urllib.error.HTTPError as error:
                error.close()
                if error.code == _OUT_OF_RANGE:
                    # Nothing is behind what is here: an earlier try had all of it, or it is of another file.
                    if error.headers.get("Content-Range") == f"bytes */{self._size()}":
                        return self.file
                    self.forget()
                elif error.code < http.client.INTERNAL_SERVER_ERROR or attempt == _TRIES:
                    self._fail(f"the server answers {error.code} {error.reason}")
            except (OSError, http.client.HTTPException) as error:
                if attempt == _TRIES:
                    self._fail(f"it cannot be fetched ({error})")
                log.warning("%s broke off (%s): going on at %d bytes", shown(self.address), error, self._size())
            else:
                return self.file
        raise SourceError(f"source is {shown(self.address)!r}: the server gives it neither whole nor in parts")

    def forget(self) -> None:
        """Remove what was fetched."""
        self.file.unlink(missing_ok=True)
        self._version.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise SourceError when there is nothing at the address, or no zip; fetches a few bytes."""
        try:
            with _open(self._request({"Range": "bytes=0-3"})) as answer:
                if not answer.read(4).startswith(b"PK"):
                    self._fail("there is no zip file at this address")
        except urllib.error.HTTPError as error:
            error.close()
            self._fail(f"the server answers {error.code} {error.reason}")
        except (OSError, http.client.HTTPException) as error:
            self._fail(f"it cannot be fetched ({error})")

    def _request(self, headers: dict[str, str]) -> urllib.request.Request:
        request = urllib.request.Request(self.address, headers=headers)  # noqa: S310 -- https, checked
        if self._authorization:
            # Where a redirect leads is not told.
            request.add_unredirected_header("Authorization", self._authorization)
        return request

    def _size(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def _fetch_rest(self) -> None:
        have = self._size()
        version = self._version.read_text("utf-8") if have and self._version.exists() else ""
        # Without If-Range the rest of another version could be joined to what is here.
        headers = {"Range": f"bytes={have}-", "If-Range": version} if version else {}
        with _open(self._request(headers)) as answer:
            goes_on = answer.status == _PARTIAL
            expected = int(answer.headers.get("Content-Length") or 0)
            self._check_room(expected)
            # Only a strong ETag says that the bytes are the same.
            etag = answer.headers.get("ETag", "")
            self._version.write_text("" if etag.startswith("W/") else etag, "utf-8")
            with self.file.open("ab" if goes_on else "wb") as output:
                received = _copy(answer, output)
        if expected and received < expected:
            raise ConnectionError(f"{received} of {expected} bytes came")
        log.info("fetched %s: %d bytes, %d of them now", shown(self.address), self._size(), received)

    def _check_room(self, expected: int) -> None:
        free = shutil.disk_usage(self.file.parent).free
        if expected + _RESERVE_BYTES > free:
            self._fail(f"its {expected:,} bytes do not fit the disk of {self.file.parent} ({free:,} free)")

    def _fail(self, what: str) -> NoReturn:
        raise SourceError(f"source is {shown(self.address)!r}: {what}")


def _handlers() -> list[urllib.request.BaseHandler]:
    return [_OnlyHttps()]


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    opener = urllib.request.build_opener(*_handlers())
    answer: http.client.HTTPResponse = opener.open(request, timeout=_TIMEOUT_SECONDS)
    return answer


def _copy(answer: http.client.HTTPResponse, output: IO[bytes]) -> int:
    received = 0
    while block := answer.read(_BLOCK):
        output.write(block)
        received += len(block)
        if received % (64 * _BLOCK) < _BLOCK and shutil.disk_usage(output.name).free < _RESERVE_BYTES:
            raise SourceError(f"the disk of {output.name} is full after {received:,} bytes")
    return received


def _private_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"verger-downloads-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    # Somebody else could have made it first, to put another file under a picture's name.
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
        raise SourceError(f"{folder} is not this user's alone: remove it")
    return folder

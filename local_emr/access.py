"""Who may use this server: programs on the hosts it is meant for, that have its access key. A step is a program.

A page in a browser must not get in, whichever server it came from: not by a request of its own, nor by a host name of
its own that resolves to this machine ("DNS rebinding"), after which the browser takes this server for the page's.
"""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from local_emr.faulty_calls import FAULTS_PATH
from local_emr.host_names import EVERYWHERE, THIS_MACHINE, bare_host
from local_emr.signatures import SignatureError, SignedRequest, check_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)
#: Where the server's request handler leaves the headers as they came: WSGI has lost their number and spelling.
RAW_HEADERS = "local_emr.headers"
#: What a page can send without asking first (Fetch, "CORS-safelisted request-header"); no client of EMR sends it.
_CONTENT_OF_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
_STATUS = "403 Forbidden"


class AccessCheck:
    """A WSGI application in front of another one, which gets only the requests of those who may."""

    def __init__(
        self, application: WSGIApplication, hosts: Iterable[str], secret_of: Callable[[str, str], str | None]
    ) -> None:
        """`hosts` are names of this server beside those of this machine; `secret_of`: see `check_signature`."""
        self._application = application
        self._hosts = {*THIS_MACHINE, *(bare_host(host) for host in hosts if host not in EVERYWHERE)}
        self._secret_of = secret_of

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or refuse it."""
        try:
            self._check(environ)
        except SignatureError as error:
            _log.warning("refused %s %r: %s", environ["REQUEST_METHOD"], environ.get("PATH_INFO"), error)
            return _refuse(environ, start_response, error)
        return self._application(environ, start_response)

    def _check(self, environ: WSGIEnvironment) -> None:
        host = environ.get("HTTP_HOST", "")
        if not self._knows(host):
            raise SignatureError(
                "AccessDenied", f"This server is not {host!r}. If it is meant to be, start it with --allow-host."
            )
        # RFC 6454 (7) and Fetch Metadata: a browser says what page a request comes from. AWS's clients do not.
        if "HTTP_ORIGIN" in environ or any(name.startswith("HTTP_SEC_FETCH_") for name in environ):
            raise SignatureError("AccessDenied", "The request comes from a browser.")
        content_type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if _is_ours(environ) and content_type in _CONTENT_OF_FORMS:
            raise SignatureError("AccessDenied", f"A request with the content type {content_type} is a form's.")
        check_signature(_signed_request(environ), self._secret_of, datetime.now(UTC))

    def _knows(self, host: str) -> bool:
        name = bare_host(host)
        # A bucket's name may stand in front (S3's virtual hosts); what ends with .localhost is always this machine.
        return name in self._hosts or name.endswith(".localhost")


def _is_ours(environ: WSGIEnvironment) -> bool:
    """Whether the request is for EMR or the control call, of which no client sends a form."""
    return environ.get("PATH_INFO") == FAULTS_PATH or "HTTP_X_AMZ_TARGET" in environ


def _signed_request(environ: WSGIEnvironment) -> SignedRequest:
    headers = environ.get(RAW_HEADERS, ())
    return SignedRequest(
        method=environ["REQUEST_METHOD"],
        target=environ["RAW_URI"],
        headers=[(name.lower(), value) for name, value in headers],
        body=lambda: _body(environ),
    )


def _body(environ: WSGIEnvironment) -> bytes:
    """The body, which the application reads again."""
    stream = environ["wsgi.input"]
    body: bytes = (
        stream.read() if environ.get("wsgi.input_terminated") else stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    )
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _refuse(environ: WSGIEnvironment, start_response: StartResponse, error: SignatureError) -> Iterable[bytes]:
    """The error in the form of the service that was asked, so that its client shows it."""
    if _is_ours(environ):
        content_type = "application/x-amz-json-1.1"
        body = json.dumps({"__type": error.code, "message": str(error)}).encode()
    else:
        content_type = "application/xml"
        inner = f"<Error><Code>{escape(error.code)}</Code><Message>{escape(str(error))}</Message></Error>"
        is_s3 = "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "/s3/aws4_request")
        body = (inner if is_s3 else f"<ErrorResponse>{inner}</ErrorResponse>").encode()
    start_response(_STATUS, [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

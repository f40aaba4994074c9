"""Checks a request's signature (AWS Signature Version 4) as AWS does: by signing again what was signed.

AWS: "Signature Version 4 for API requests", "Elements of a request signature", and for S3 "Authenticating Requests".
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ALGORITHM = "AWS4-HMAC-SHA256"
_SCOPE = re.compile(r"(?P<key>.+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_TIME = "%Y%m%dT%H%M%SZ"
_CLOCK_TOLERANCE = timedelta(minutes=15)  # AWS's own
_UNSIGNED = "UNSIGNED-PAYLOAD"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class SignatureError(Exception):
    """A request is not signed by somebody who has the secret; `code` is AWS's word for why."""

    def __init__(self, code: str, message: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class SignedRequest:
    """A request as it came over the wire.

    Attributes:
        method: GET, PUT ...
        target: Path and query, as they were sent.
        headers: Names in lower case with their values, in the order in which they came.
        body: Reads the body.
    """

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: Callable[[], bytes]

    def values(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for known, value in self.headers if known == name]

    def first(self, name: str) -> str:
        """The first value of a header; empty if there is none."""
        return next(iter(self.values(name)), "")


class _Claim(NamedTuple):
    """What a signature says of itself."""

    scope: re.Match[str]
    signed_headers: list[str]
    signature: str
    time: str
    lasts: timedelta | None  # a presigned address has an end
    token: str


def check_signature(request: SignedRequest, secret_of: Callable[[str, str], str | None], now: datetime) -> None:
    """Return if the request was signed with the secret that belongs to its access key.

    `secret_of(access_key, session_token)` is None for a key that nobody has.

    Raises:
        SignatureError: It was not, or not for now.
    """
    claim = _claim(request)
    _check_time(claim, now)
    if "host" not in claim.signed_headers:
        raise SignatureError("AuthorizationQueryParametersError", "The signature does not cover the header Host.")
    secret = secret_of(claim.scope["key"], claim.token)
    if secret is None:
        raise SignatureError(
            "InvalidAccessKeyId", f"The access key {claim.scope['key']!r} is not one of this server's."
        )
    digest = _digest(request, presigned=claim.lasts is not None)
    if not any(hmac.compare_digest(found, claim.signature) for found in _signatures(request, claim, secret, digest)):
        raise SignatureError(
            "SignatureDoesNotMatch",
            "The signature does not match: it was made with another secret key, or the request was changed on its way.",
        )


def _claim(request: SignedRequest) -> _Claim:
    header = request.first("authorization")
    query = {name: values[-1] for name, values in parse_qs(urlsplit(request.target).query).items()}
    if header.startswith(_ALGORITHM):
        pairs = (part.strip().partition("=") for part in header.removeprefix(_ALGORITHM).split(","))
        fields = {name: value for name, _, value in pairs}
        time, lasts, token = request.first("x-amz-date"), None, request.first("x-amz-security-token")
    elif query.get("X-Amz-Algorithm") == _ALGORITHM:
        fields = {name: query.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders", "Signature")}
        time, token = query.get("X-Amz-Date", ""), query.get("X-Amz-Security-Token", "")
        lasts = timedelta(seconds=_whole_number(query.get("X-Amz-Expires", "")))
    else:
        raise SignatureError(
            "MissingAuthenticationToken",
            "The request is not signed with this server's access key (Signature Version 4).",
        )
    scope = _SCOPE.fullmatch(fields.get("Credential", ""))
    if scope is None or not fields.get("Signature", "").isascii():
        raise SignatureError("IncompleteSignature", "The signature has no complete credential.")
    return _Claim(
        scope, fields.get("SignedHeaders", "").lower().split(";"), fields.get("Signature", ""), time, lasts, token
    )


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        raise SignatureError(
            "AuthorizationQueryParametersError", f"X-Amz-Expires is {text!r}: not a number of seconds."
        )
    return int(text)


def _check_time(claim: _Claim, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(claim.time, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("IncompleteSignature", f"The time of the signature is {claim.time!r}.") from None
    if not claim.time.startswith(claim.scope["day"]):
        raise SignatureError("SignatureDoesNotMatch", "The credential is for another day than the request's.")
    ends = signed_at + (claim.lasts if claim.lasts is not None else _CLOCK_TOLERANCE)
    if not signed_at - _CLOCK_TOLERANCE <= now <= ends:
        code = "RequestTimeTooSkewed" if claim.lasts is None else "AccessDenied"
        raise SignatureError(code, f"The signature of {claim.time} is not valid now: clocks differ, or it has expired.")


def _digest(request: SignedRequest, *, presigned: bool) -> str:
    """The body's digest as it was signed; a body that has another one than its header says is refused."""
    said = request.first("x-amz-content-sha256")
    if said and not _DIGEST.fullmatch(said):
        return said  # UNSIGNED-PAYLOAD, STREAMING-...: the body has checksums of its own
    if presigned and not said:
        return _UNSIGNED
    digest = sha256(request.body()).hexdigest()
    if said and said != digest:
        raise SignatureError("XAmzContentSHA256Mismatch", "The body is not the one that was signed.")
    return digest


def _signatures(request: SignedRequest, claim: _Claim, secret: str, digest: str) -> list[str]:
    """What the signature would be; clients differ in whether a path is signed as sent or encoded once more."""
    signer_type = S3SigV4Auth if claim.scope["service"] == "s3" else SigV4Auth
    signer = signer_type(Credentials(claim.scope["key"], secret), claim.scope["service"], claim.scope["region"])
    stamped = AWSRequest(method=request.method, url="http://signed")
    stamped.context["timestamp"] = claim.time
    path, _, query = request.target.partition("?")
    headers = [
        f"{name}:{','.join(' '.join(value.split()) for value in request.values(name))}" for name in claim.signed_headers
    ]
    found = []
    for canonical_path in dict.fromkeys((path, quote(path, safe="/~"), quote(unquote(path), safe="/~"))):
        parts = [request.method, canonical_path or "/", _canonical_query(query), *headers, ""]
        canonical = "\n".join([*parts, ";".join(claim.signed_headers), digest])
        found.append(signer.signature(signer.string_to_sign(stamped, canonical), stamped))
    return found


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    encoded = [(_encoded(name), _encoded(value)) for name, _, value in pairs]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded) if name != "X-Amz-Signature")


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-_.~")

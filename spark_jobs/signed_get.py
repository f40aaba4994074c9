"""Reading the keys that obstore cannot name.

obstore's paths are segments between single slashes: a key with an empty segment (`a//b`), a segment `.` or
`..`, a `/` at an end, or a control character has no path there, though S3 allows it. Such keys are rare; they are
read with a plain GET signed by Signature Version 4 (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
"""

import hashlib
import hmac
import http.client
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from verger_rules.addresses import S3Address

from spark_jobs.object_store import StoreSettings, ask_instance

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Credentials:
    """An access key; the token is empty for a lasting one."""

    access_key: str
    secret_key: str
    token: str


def needs_signed_get(key: str) -> bool:
    """Whether obstore has no path for this key."""
    if re.search(r"[\x00-\x1f\x7f]", key):
        return True
    return any(segment in {"", ".", ".."} for segment in key.split("/"))


def get_signed(settings: StoreSettings, address: S3Address, most_bytes: int) -> tuple[bytes, str, int]:
    """Read an object: its bytes (none when it is larger than `most_bytes`), its etag and its size.

    Raises:
        FileNotFoundError: it is not there.
        OSError: the store refuses, with its HTTP status in the message, or the connection failed.
    """
    endpoint = urlsplit(settings.endpoint or f"https://s3.{settings.region}.amazonaws.com")
    path = f"{endpoint.path.rstrip('/')}/{quote(address.bucket, safe='')}/{quote(address.key, safe='/~')}"
    headers = signature_headers(endpoint.netloc, path, settings.region, find_credentials(os.environ), datetime.now(UTC))
    connect = http.client.HTTPSConnection if endpoint.scheme == "https" else http.client.HTTPConnection
    connection = connect(endpoint.netloc, timeout=TIMEOUT_SECONDS)
    try:
        # http.client sends the path as it stands; urllib's openers and most clients would tidy `..` away.
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return _read(answer, address, most_bytes)
    except http.client.HTTPException as error:
        raise OSError(f"{address.uri}: {type(error).__name__} {error}") from error
    finally:
        connection.close()


def _read(answer: http.client.HTTPResponse, address: S3Address, most_bytes: int) -> tuple[bytes, str, int]:
    if answer.status == http.HTTPStatus.NOT_FOUND:
        raise FileNotFoundError(f"{address.uri} is not there")
    if answer.status != http.HTTPStatus.OK:
        raise OSError(f"{address.uri}: status code: {answer.status} {answer.read(300)!r}")
    size = int(answer.headers.get("Content-Length", "0"))
    content = answer.read() if size <= most_bytes else b""
    return content, answer.headers.get("ETag", "").strip('"'), size


def signature_headers(host: str, path: str, region: str, credentials: Credentials, now: datetime) -> dict[str, str]:
    """The headers of a GET of `path` (percent-encoded, as it is sent), signed for S3."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    headers = {"host": host, "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": stamp}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"GET\n{path}\n\n{lines}\n{names}\n{EMPTY_SHA256}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return headers | {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    }


def find_credentials(environment: Mapping[str, str]) -> Credentials:
    """The access key of the environment, else the one of the EC2 instance's role.

    Raises:
        OSError: there is neither.
    """
    if "AWS_ACCESS_KEY_ID" in environment:
        return Credentials(
            environment["AWS_ACCESS_KEY_ID"],
            environment.get("AWS_SECRET_ACCESS_KEY", ""),
            environment.get("AWS_SESSION_TOKEN", ""),
        )
    roles = "meta-data/iam/security-credentials"
    answer = json.loads(ask_instance(f"{roles}/{ask_instance(f'{roles}/').split()[0]}"))
    return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["Token"])

"""Reads one file of a run's results from S3, whole or in part, without ever holding it whole."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from verger_rules.addresses import S3Address

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

#: By the name's end, and not by what S3 says: whoever wrote the object must not decide what a browser does with it.
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".parquet": "application/vnd.apache.parquet",
}
_ANY_BYTES = "application/octet-stream"
#: What a browser would run or apply. Only the installed page has scripts: the bucket's are text, and nothing sniffs.
_TEXT_IN_A_BUCKET = {".js", ".mjs", ".css", ".map"}
_CHUNK_BYTES = 256 * 1024
_MOST_NAME_CHARACTERS = 512
#: One range; several in one request are answered with the whole file, which RFC 9110 (14.2) allows.
_ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")
#: What S3 answers when the credentials are the reason.
_REFUSED = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class FileMissingError(Exception):
    """There is no such file, or its name is none."""


class StoreRefusedError(Exception):
    """S3 answers, and does not let us read."""


class StoreUnreachableError(Exception):
    """S3 does not answer, or not now."""


@dataclass(frozen=True)
class Wanted:
    """What a request asks for.

    Attributes:
        head: whether only the headers are wanted.
        byte_range: the header Range.
        if_range: the header If-Range: an ETag; with another one the whole file is wanted.
        if_none_match: the header If-None-Match.
    """

    head: bool = False
    byte_range: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None


@dataclass(frozen=True)
class FileAnswer:
    """An HTTP answer: `chunks` is empty for one without a body."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


def check_name(name: str) -> str:
    """Return a file's name below the results; raises FileMissingError for one that could lead out of them.

    S3 knows no `..`, but an S3 server on a folder may, and so may a proxy.
    """
    parts = name.split("/")
    if (
        len(name) > _MOST_NAME_CHARACTERS
        or not all(parts)
        or {".", ".."} & set(parts)
        or "\\" in name
        or not name.isprintable()
    ):
        raise FileMissingError(name)
    return name


def content_type(name: str) -> str:
    """The content type of a file in the bucket, by its name."""
    suffix = PurePosixPath(name).suffix.lower()
    return CONTENT_TYPES[".txt"] if suffix in _TEXT_IN_A_BUCKET else CONTENT_TYPES.get(suffix, _ANY_BYTES)


def exists(s3: "S3Client", address: S3Address) -> bool:
    """Whether a file is there. Raises StoreRefusedError or StoreUnreachableError."""
    try:
        read_file(s3, address, Wanted(head=True))
    except FileMissingError:
        return False
    return True


def read_file(s3: "S3Client", address: S3Address, wanted: Wanted) -> FileAnswer:
    """Read a file's headers and begin to read its content.

    Raises FileMissingError, StoreRefusedError or StoreUnreachableError.
    """
    try:
        answer = _ask(s3, address, wanted)
    except ClientError as error:
        return _answer_of_error(error)
    except BotoCoreError as error:
        raise StoreUnreachableError(str(error)) from error
    headers = {
        "Content-Type": content_type(address.key),
        "Content-Length": str(answer["ContentLength"]),
        "ETag": answer["ETag"],
        "Accept-Ranges": "bytes",
    }
    if not headers["Content-Type"].startswith(("text/", "application/json", "image/svg")):
        # Airflow compresses what names no encoding of its own; these are compressed already.
        headers["Content-Encoding"] = "identity"
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    if status == HTTPStatus.PARTIAL_CONTENT:
        headers["Content-Range"] = answer["ContentRange"]
    return FileAnswer(status, headers, iter(()) if wanted.head else _chunks(answer["Body"]))


def _ask(s3: "S3Client", address: S3Address, wanted: Wanted) -> Any:  # noqa: ANN401 -- two answers with the same keys
    asked: dict[str, Any] = {"Bucket": address.bucket, "Key": address.key}
    if wanted.if_none_match:
        asked["IfNoneMatch"] = wanted.if_none_match
    call: Any = s3.head_object if wanted.head else s3.get_object
    # The range of a HEAD is ignored, as RFC 9110 (14.2) says: it is defined for GET alone.
    ranged = not wanted.head and wanted.byte_range and _ONE_RANGE.fullmatch(wanted.byte_range)
    if not ranged or (wanted.if_range and not wanted.if_range.startswith('"')):
        return call(**asked)
    match = {"IfMatch": wanted.if_range} if wanted.if_range else {}
    try:
        return call(**asked, **match, Range=wanted.byte_range)
    except ClientError as error:
        if _status(error) != HTTPStatus.PRECONDITION_FAILED:
            raise
        return call(**asked)


def _answer_of_error(error: ClientError) -> FileAnswer:
    status = _status(error)
    if status == HTTPStatus.NOT_MODIFIED:
        tag = error.response["ResponseMetadata"].get("HTTPHeaders", {}).get("etag")
        return FileAnswer(status, {"ETag": tag} if tag else {}, iter(()))
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        size = error.response["Error"].get("ActualObjectSize", "*")
        return FileAnswer(status, {"Content-Range": f"bytes */{size}"}, iter(()))
    if status == HTTPStatus.NOT_FOUND:
        raise FileMissingError(str(error)) from error
    if status in _REFUSED:
        raise StoreRefusedError(str(error)) from error
    raise StoreUnreachableError(str(error)) from error


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _chunks(body: "StreamingBody") -> Iterator[bytes]:
    # Closed by whoever stops reading, too: a browser that goes away gives its connection to S3 back.
    with closing(body):
        yield from body.iter_chunks(_CHUNK_BYTES)

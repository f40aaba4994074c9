"""JSON objects that more than one may write: every PUT and DELETE has a condition on what lies there.

S3 decides the condition and the write as one
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). After every answer but a plain yes,
what lies there decides: the answer of a PUT that did store may be lost, 412 may answer our own PUT that the client
repeated, and 409 says that another request for the key is under way, whatever comes of that.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's
from verger_rules.addresses import S3Address

from verger.storage.json_objects import StoredJson, json_bytes, read_stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Seconds before what lies there is read again, where a PUT had no answer that counts.
PAUSES = (0.2, 1.0, 2.0, 5.0, 10.0)
_NOT_OFFERED = {"NotImplemented", "MethodNotAllowed", "501"}
_CONDITION_FAILED = {404, 409, 412}


def change_json(
    s3: "S3Client", address: S3Address, change: Callable[[dict[str, Any] | None], Mapping[str, Any] | None]
) -> dict[str, Any]:
    """Read an object, and replace just what was read by what `change` makes of it; returns what lies there then.

    `change` gets None where there is no object, and answers None to leave things as they are. It is asked again when
    another writer was faster. Raises ClientError for a refusal, and the last error when no PUT has had an answer.
    """
    failure: Exception | None = None
    for pause in (0.0, *PAUSES, None):
        time.sleep(pause or 0.0)
        stored = read_stored(s3, address)
        found = None if stored is None else stored.content
        wanted = change(found)
        if wanted is None or wanted == found:
            return found or {}
        if pause is None and failure is not None:
            raise failure
        try:
            _put(s3, address, wanted, stored)
        except (ClientError, HTTPClientError, ConnectionError) as error:
            if isinstance(error, ClientError) and not _is_open(error):
                raise
            failure = error
        else:
            return dict(wanted)
    raise AssertionError("the last look returns or raises")


def delete_unchanged(s3: "S3Client", address: S3Address, etag: str) -> bool:
    """Delete an object if it still has the ETag with which it was read; whether it was deleted.

    A server that offers no conditional DELETE gets a plain one: another may then write between the reading and that.
    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-deletes.html
    """
    try:
        s3.delete_object(Bucket=address.bucket, Key=address.key, IfMatch=etag)
    except ClientError as error:
        if _status(error) in _CONDITION_FAILED:
            return False
        if error.response["Error"]["Code"] not in _NOT_OFFERED:
            raise
        s3.delete_object(Bucket=address.bucket, Key=address.key)
    return True


def _put(s3: "S3Client", address: S3Address, content: Mapping[str, Any], stored: StoredJson | None) -> None:
    body, kind = json_bytes(content), "application/json"
    if stored is None:
        s3.put_object(Bucket=address.bucket, Key=address.key, Body=body, ContentType=kind, IfNoneMatch="*")
    else:
        s3.put_object(Bucket=address.bucket, Key=address.key, Body=body, ContentType=kind, IfMatch=stored.etag)


def _is_open(error: ClientError) -> bool:
    """Whether an answer leaves open what lies under the key: condition, conflict, or S3's own error."""
    if _status(error) == 404:  # noqa: PLR2004 - what was to be replaced is gone, or the whole bucket is
        return error.response["Error"]["Code"] == "NoSuchKey"
    return _status(error) in _CONDITION_FAILED or _status(error) >= 500  # noqa: PLR2004 - server errors


def _status(error: ClientError) -> int:
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status

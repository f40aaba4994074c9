"""A bucket that lists images which do not exist, answered in this process."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from tools.scale.synthetic import BUCKET, PREFIX, SIZE, etag_of, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

PAGE = 1000


def client(images: int) -> S3Client:
    """A boto3 client whose bucket lists that many images; its answers come from this process, not over a network.

    Everything of botocore is at work (paging, parsing XML, unquoting keys) except the socket.
    """
    made: S3Client = boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106 -- signs requests that nobody gets
        config=Config(retries={"total_max_attempts": 1}),
    )

    def answer(request: Any, **_: object) -> AWSResponse:  # noqa: ANN401 -- botocore's own
        token = parse_qs(urlsplit(request.url).query).get("continuation-token", ["0"])[0]
        body = page(int(token), images)
        return AWSResponse(request.url, 200, {"content-type": "application/xml"}, _Raw(body))  # type: ignore[arg-type]

    made.meta.events.register("before-send.s3.ListObjectsV2", answer)  # type: ignore[arg-type] # it may answer
    return made


class _Raw(io.BytesIO):
    """A body as botocore reads it."""

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        """All of it."""
        yield self.read()


def page(first: int, images: int) -> bytes:
    """One answer of ListObjectsV2: up to 1,000 objects from this one on."""
    last = min(first + PAGE, images)
    entries = "".join(
        f"<Contents><Key>{key_of(number).replace(' ', '+')}</Key><LastModified>2026-11-21T12:00:00.000Z</LastModified>"
        f"<ETag>&quot;{etag_of(number)}&quot;</ETag><Size>{SIZE}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(first, last)
    )
    more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < images else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><Prefix>{PREFIX}</Prefix><KeyCount>{last - first}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
        f"<EncodingType>url</EncodingType><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{entries}"
        "</ListBucketResult>"
    ).encode()

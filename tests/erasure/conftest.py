"""A bucket in which a person's picture is everywhere, behind an S3 server in a process of its own."""

import logging
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from mypy_boto3_s3 import S3Client

from tests.erasure.house import House, fill


def serve(tell: Connection) -> None:
    """Serve S3 until the process is ended; its address is told first."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - only in the process that serves

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    tell.send("http://{}:{}".format(*server.get_host_and_port()))
    tell.recv()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A moto server in another process: `DeltaTable.repair` holds the interpreter's lock while it asks S3."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    yield ours.recv()
    process.terminate()
    process.join()


@pytest.fixture(params=["", "Enabled", "Suspended"], ids=["unversioned", "versioned", "suspended"])
def house(s3: S3Client, bucket: str, request: pytest.FixtureRequest) -> House:
    """The bucket, without versions, with versions, or with some of before."""
    if request.param:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    house = House(s3, bucket)
    fill(house)
    if request.param == "Suspended":
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    return house

"""What the parameter `source` may name, and how each is opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from verger_rules.addresses import parse_uri

from verger.run.eu_guard import check_bucket
from verger.run.source_credentials import SourceCredentialsError, check_no_credentials
from verger.storage.layout import BucketLayout
from verger.sync.archive import ZipSource
from verger.sync.download import Download, DownloadError, private_file, shown
from verger.sync.folder import FolderSource
from verger.sync.other_bucket import BucketSource
from verger.sync.pictures import Source, SourceError
from verger.sync.source_connection import SCHEME, resolve

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_KINDS = (
    "a folder or a zip file of Airflow's machine, s3://bucket/folder/, the https address of a zip file, or "
    "connection://ID/path for one that needs a password"
)


def shown_source(address: str) -> str:
    """An address as it may stand in a log or a file: without what could be a password or a token."""
    return shown(address) if "://" in address and not address.startswith(("s3:", SCHEME)) else address


@contextmanager
def open_source(address: str, s3: "S3Client", layout: BucketLayout) -> Iterator[Source]:
    """Open what an address names; a zip over https is fetched first, and removed when all went well.

    Raises SourceError, and OutsideEuError or BucketMissingError for a bucket.
    """
    if download := _download(address):
        with _zip(_fetched(download), layout, shown_source(address)) as source:
            yield source
        download.forget()
    elif address.startswith("s3:"):
        yield _bucket(address, s3, layout)
    elif "://" in address:
        raise SourceError(f"source is {shown(address)!r}: give {_KINDS}")
    elif (file := Path(address)).is_file():
        with _zip(file, layout, address) as source:
            yield source
    else:
        yield FolderSource(file, layout.images_prefix)


def check_source(address: str, s3: "S3Client", layout: BucketLayout) -> str | None:
    """Find out, without copying anything, whether a source can be used; returns a source bucket's region.

    Raises as `open_source` does, and SourceError for a source without a picture.
    """
    if download := _download(address):
        try:
            download.check()
        except DownloadError as error:
            raise SourceError(f"source is {error}") from error
        return None
    with open_source(address, s3, layout) as source:
        source.pictures()
    return check_bucket(s3, parse_uri(address).bucket) if address.startswith("s3:") else None


def _fetched(download: Download) -> Path:
    try:
        return download.fetch()
    except DownloadError as error:
        raise SourceError(f"source is {error}") from error


def _download(address: str) -> Download | None:
    """What is fetched over https; None for another kind of source."""
    try:
        check_no_credentials(address)
        if address.startswith(SCHEME):
            found = resolve(address)
            file = private_file(found.address, ".zip")
            return Download(found.address, file, authorization=found.authorization)
        return Download(address, private_file(address, ".zip")) if address.startswith("https:") else None
    except SourceCredentialsError as error:
        raise SourceError(str(error)) from error
    except DownloadError as error:
        raise SourceError(f"source is {error}") from error


@contextmanager
def _zip(file: Path, layout: BucketLayout, called: str) -> Iterator[ZipSource]:
    source = ZipSource(file, layout.images_prefix, called)
    try:
        yield source
    finally:
        source.close()


def _bucket(address: str, s3: "S3Client", layout: BucketLayout) -> BucketSource:
    try:
        place = parse_uri(address)
    except ValueError as error:
        raise SourceError(f"source is {address!r}: {error}") from error
    # Pictures of people may not come by a way that leads out of the EU either.
    check_bucket(s3, place.bucket)
    return BucketSource(s3, place, layout)

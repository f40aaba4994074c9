"""An S3 Inventory in place of a listing: S3 makes one daily, as Parquet or ORC files in a bucket.

Where it lies and what it holds: https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.orc
import pyarrow.parquet as pq
from botocore.exceptions import ClientError
from verger_rules.addresses import S3Address

from verger.plan.listing import BATCH_ROWS, OBJECTS

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FORMATS = ("Parquet", "ORC")
#: The folder of one inventory, by the moment at which S3 began to look through the bucket.
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}Z/")
_NEEDED = {"key": "", "size": "Size", "e_tag": "ETag"}
#: Of an inventory of all versions: only what a listing would show counts.
_OF_VERSIONS = ("is_latest", "is_delete_marker")


class InventoryError(ValueError):
    """The inventory cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Inventory:
    """One inventory of a bucket.

    Attributes:
        manifest: the address of its `manifest.json`.
        made_at: when S3 began to look through the bucket: what was stored later may not be in it.
        format: of its files, of FORMATS.
        files: their addresses.
    """

    manifest: S3Address
    made_at: datetime
    format: str
    files: tuple[S3Address, ...]


def newest_inventory(s3: "S3Client", folder: S3Address, bucket: str, now: datetime, oldest: timedelta) -> Inventory:
    """The newest whole inventory of a bucket.

    Args:
        s3: a client.
        folder: of the inventory's configuration: `DESTINATION-PREFIX/BUCKET/CONFIGURATION`.
        bucket: that it must be of.
        now: this moment.
        oldest: how old it may be.

    Raises:
        InventoryError: there is none, it is of another bucket, too old, broken, or of another format.
    """
    for moment in _moments(s3, folder):
        manifest = folder.child(f"{moment}manifest.json")
        content, checksum = _read(s3, manifest), _read(s3, folder.child(f"{moment}manifest.checksum"))
        # S3 writes the checksum last: an inventory without one is not whole yet.
        if content is None or checksum is None:
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != checksum.decode("ascii", "replace").strip():
            raise InventoryError(f"{manifest.uri} is broken: it is not what its checksum says. {_WITHOUT}")
        found = _parse(manifest, content, bucket)
        if now - found.made_at > oldest:
            hours = (now - found.made_at) / timedelta(hours=1)
            raise InventoryError(
                f"{manifest.uri} is {hours:,.0f} hours old, and {oldest / timedelta(hours=1):,.0f} are allowed "
                f"(VERGER_INVENTORY_HOURS): does S3 still make one daily? {_WITHOUT}"
            )
        return found
    raise InventoryError(
        f"{folder.uri}/ holds no whole inventory: VERGER_INVENTORY_URI is s3://DESTINATION/PREFIX/BUCKET/CONFIGURATION "
        f"of an S3 Inventory, whose first list comes within 48 hours. {_WITHOUT}"
    )


_WITHOUT = "Leave VERGER_INVENTORY_URI empty to list the bucket itself"


def _moments(s3: "S3Client", folder: S3Address) -> list[str]:
    """The folders of inventories, the newest first."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=f"{folder.key}/", Delimiter="/")
    names = (
        entry["Prefix"].removeprefix(f"{folder.key}/") for page in pages for entry in page.get("CommonPrefixes", ())
    )
    return sorted(filter(_MOMENT.fullmatch, names), reverse=True)


def _read(s3: "S3Client", address: S3Address) -> bytes | None:
    try:
        return s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
            return None
        raise


def _parse(manifest: S3Address, content: bytes, bucket: str) -> Inventory:
    try:
        told: Mapping[str, Any] = json.loads(content)
        source, file_format = str(told["sourceBucket"]), str(told["fileFormat"])
        made_at = datetime.fromtimestamp(int(told["creationTimestamp"]) / 1000, UTC)
        files = tuple(S3Address(manifest.bucket, str(file["key"])) for file in told["files"])
    except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
        raise InventoryError(f"{manifest.uri} is no manifest of an S3 Inventory ({error!r}). {_WITHOUT}") from error
    if source != bucket:
        raise InventoryError(f"{manifest.uri} is of the bucket {source!r}, and this run is on {bucket!r}. {_WITHOUT}")
    if file_format not in FORMATS:
        raise InventoryError(f"{manifest.uri} is {file_format!r}: configure it as {' or '.join(FORMATS)}. {_WITHOUT}")
    return Inventory(manifest, made_at, file_format, files)


def objects_of(filesystem: pyarrow.fs.FileSystem, inventory: Inventory, prefix: str) -> Iterator[pa.Table]:
    """The objects under a prefix, schema OBJECTS, some thousands at a time, in no order.

    Raises:
        InventoryError: a file is missing or broken, or a field was not configured.
    """
    for file in inventory.files:
        try:
            with filesystem.open_input_file(f"{file.bucket}/{file.key}") as stream:
                for rows in _rows(stream, inventory.format, file):
                    yield _objects(rows, prefix)
        except (FileNotFoundError, pa.ArrowException) as error:
            said = str(error).partition("\n")[0]
            raise InventoryError(
                f"{file.uri}, a part of {inventory.manifest.uri}, is missing or broken: {said}"
            ) from error


def _rows(stream: pyarrow.NativeFile, file_format: str, file: S3Address) -> Iterator[pa.Table]:
    if file_format == "Parquet":
        parquet = pq.ParquetFile(stream, pre_buffer=True)
        columns = _columns(parquet.schema_arrow.names, file)
        for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])
        return
    orc = pyarrow.orc.ORCFile(stream)
    columns = _columns(orc.schema.names, file)
    for stripe in range(orc.nstripes):
        yield pa.Table.from_batches([orc.read_stripe(stripe, columns)])


def _columns(there: list[str], file: S3Address) -> list[str]:
    missing = [name or column for column, name in _NEEDED.items() if column not in there]
    if missing:
        raise InventoryError(f"{file.uri} does not tell {' and '.join(missing)}: add that to the inventory's fields")
    return [*_NEEDED, *(column for column in _OF_VERSIONS if column in there)]


def _objects(rows: pa.Table, prefix: str) -> pa.Table:
    kept = pc.starts_with(rows["key"], prefix)
    if "is_latest" in rows.column_names:
        kept = pc.and_(kept, pc.fill_null(rows["is_latest"], True))
    if "is_delete_marker" in rows.column_names:
        kept = pc.and_(kept, pc.invert(pc.fill_null(rows["is_delete_marker"], False)))
    found = rows.filter(kept)
    return pa.table([found["key"], found["e_tag"], found["size"]], names=OBJECTS.names).cast(OBJECTS)

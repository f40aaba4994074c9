"""S3 Inventories of a test's bucket, as S3 makes them."""

import hashlib
import io
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
from mypy_boto3_s3 import S3Client

#: The folder of the configuration, in the bucket itself.
FOLDER = "inventory/{bucket}/daily"


def take_inventory(s3: S3Client, bucket: str, made_at: datetime, **told: Any) -> str:
    """Store an inventory of the bucket's objects as S3 makes them, in two files; the folder of its manifest.

    `told` replaces fields of the manifest; `file_format`, `columns` and `extra` say what the files are and hold.
    """
    file_format, extra = told.pop("file_format", "Parquet"), told.pop("extra", [])
    columns = told.pop("columns", ("bucket", "key", "size", "e_tag", "last_modified_date"))
    objects = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    rows = [
        {"bucket": bucket, "key": one["Key"], "size": one["Size"], "e_tag": one["ETag"].strip('"'),
         "last_modified_date": made_at, "is_latest": True, "is_delete_marker": False}
        for one in objects
    ]  # fmt: skip
    folder = FOLDER.format(bucket=bucket)
    files = [_put_file(s3, bucket, folder, file_format, some, columns) for some in (rows[::2], [*rows[1::2], *extra])]
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{bucket}",
        "version": "2016-11-30",
        "creationTimestamp": str(int(made_at.timestamp() * 1000)),
        "fileFormat": file_format,
        "files": [{"key": key, "size": 1, "MD5checksum": ""} for key in files],
        **told,
    }
    content = json.dumps(manifest).encode()
    place = f"{folder}/{made_at:%Y-%m-%dT%H-%MZ}"
    s3.put_object(Bucket=bucket, Key=f"{place}/manifest.json", Body=content)
    checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
    s3.put_object(Bucket=bucket, Key=f"{place}/manifest.checksum", Body=checksum.encode())
    return place


def _put_file(
    s3: S3Client, bucket: str, folder: str, file_format: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]
) -> str:
    table = pa.Table.from_pylist([{name: row[name] for name in columns} for row in rows])
    stored = io.BytesIO()
    if file_format == "ORC":
        pyarrow.orc.write_table(table, stored)
    else:
        pq.write_table(table, stored)
    key = f"{folder}/data/{hashlib.md5(stored.getvalue(), usedforsecurity=False).hexdigest()}.{file_format.lower()}"
    s3.put_object(Bucket=bucket, Key=key, Body=stored.getvalue())
    return key

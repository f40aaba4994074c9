"""How fast many small pictures are copied to the bucket, against a bare loop of PUTs of the same files.

Runs in the environment `airflow`:
`PYTHONPATH=.:plugins .venv/airflow/bin/python -m tools.benchmarks.sync_many_pictures`.
Prints one line of JSON a measurement: what, pictures, seconds, pictures/s.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from verger.storage.layout import BucketLayout
from verger.sync.source_address import open_source
from verger.sync.synchronize import synchronize

from tools.local_run import s3_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

PROJECT = Path(__file__).resolve().parents[2]
REGION: Final = "eu-west-1"
LABELS = 100
THREADS = 16


def write_pictures(folder: Path, pictures: int, size: int) -> list[Path]:
    """Files that have the size of small pictures, and their names; what is in them does not matter to a copy."""
    draw = random.Random(1)  # noqa: S311 -- the same bytes each time
    files = []
    for number in range(pictures):
        file = folder / f"label {number % LABELS}" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(draw.randbytes(size))
        files.append(file)
    return files


def measure(what: str, pictures: int, work: Callable[[], object]) -> None:
    """Print how long a work takes."""
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    figures = {"pictures": pictures, "seconds": round(seconds, 1), "pictures_per_second": round(pictures / seconds)}
    print(json.dumps({"what": what, **figures, "result": result}), flush=True)


def compare(s3: S3Client, folder: Path, files: list[Path], archive: Path) -> None:
    """Every measurement, side by side."""
    for bucket in ("bare", "synced", "unzipped", "copied"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def put(file: Path) -> None:
        s3.put_object(Bucket="bare", Key=f"images/{file.relative_to(folder)}", Body=file.read_bytes())

    def bare() -> int:
        with ThreadPoolExecutor(THREADS) as threads:
            return sum(1 for _ in threads.map(put, files))

    def sync(bucket: str, source: str) -> dict[str, int]:
        layout = BucketLayout(bucket)
        with open_source(source, s3, layout) as opened:
            return synchronize(s3, layout, opened, delete_missing=False).counts()

    measure("bare loop of PUTs", len(files), bare)
    measure("a folder", len(files), lambda: sync("synced", str(folder)))
    measure("the same folder again", len(files), lambda: sync("synced", str(folder)))
    measure("a zip", len(files), lambda: sync("unzipped", str(archive)))
    measure("the same zip again", len(files), lambda: sync("unzipped", str(archive)))
    measure("another bucket", len(files), lambda: sync("copied", "s3://bare/images/"))
    measure("the same bucket again", len(files), lambda: sync("copied", "s3://bare/images/"))


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=40_000)
    parser.add_argument("--bytes", type=int, default=5_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=PROJECT / ".cache") as work:
        folder, archive = Path(work) / "pictures", Path(work) / "pictures.zip"
        files = write_pictures(folder, asked.pictures, asked.bytes)
        with zipfile.ZipFile(archive, "w") as packed:
            for file in files:
                packed.write(file, str(file.relative_to(folder)))
        settings = s3_server.S3Settings(
            data=Path(work) / "s3",
            work=Path(work) / "s3proxy",
            log=Path(work) / "s3.log",
            jars=PROJECT / ".cache" / "jars" / "s3proxy",
        )
        with s3_server.running(settings) as server:
            s3 = boto3.client(
                "s3",
                endpoint_url=server.url,
                region_name=REGION,
                aws_access_key_id=server.access_key,
                aws_secret_access_key=server.secret_key,
                config=Config(max_pool_connections=32, s3={"addressing_style": "path"}),
            )
            compare(s3, folder, files, archive)


if __name__ == "__main__":
    main()

"""The explorer as files of a run's results: the built page, its data, and the same as scripts for a page on disk."""

import base64
import mimetypes
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from verger_rules.addresses import S3Address

from verger.publish.explorer.data import RunFiles, write_data
from verger.publish.run_description import RUN_SCRIPT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE = Path(__file__).parent / "page"
FOLDER = "explorer"
#: What `fetch` reads; a page that was opened from a disk may not fetch, and loads them as scripts.
FETCHED = ("about.json", "points.parquet", "components.f32", "rejects.parquet")
#: The same, where a run has them.
FETCHED_IF_THERE = ("quality.json", "duplicates.parquet")
#: A multiple of three, so that the pieces of base64 join.
_PIECE = 3 << 18
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}


def publish_explorer(s3: "S3Client", files: RunFiles, folder: Path) -> None:
    """Put the explorer under `results/<slug>/explorer/`, its `index.html` last; then delete what it no longer shows.

    An earlier publishing of the run may have had more sheets, and pictures in them that have been erased since. What is
    put is made in `folder`, of this machine.
    """
    with tempfile.TemporaryDirectory(prefix="explorer-", dir=folder) as name:
        data = Path(name)
        write_data(data, files)
        there = [file for file in FETCHED_IF_THERE if (data / file).exists()]
        write_script(data / "offline.js", [data / file for file in (*FETCHED, *there)])
        for path in sorted(data.iterdir()):
            _upload(s3, path, files.run.result_file(f"{FOLDER}/data/{path.name}"))
        written = {path.name for path in data.iterdir()}
    for path in sorted(PAGE.iterdir(), key=lambda path: path.suffix == ".html"):
        _upload(s3, path, files.run.result_file(f"{FOLDER}/{path.name}"))
    _delete_others(s3, files.run.result_file(f"{FOLDER}/data/"), {*written, RUN_SCRIPT.rpartition("/")[2]})


def _delete_others(s3: "S3Client", folder: S3Address, kept: Collection[str]) -> None:
    """Delete the objects of a folder, whose key ends in `/`, but for those of some names."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key):
        for entry in page.get("Contents", ()):
            if entry["Key"].removeprefix(folder.key) not in kept:
                s3.delete_object(Bucket=folder.bucket, Key=entry["Key"])


def write_script(script: Path, files: Iterable[Path]) -> None:
    """Write files as base64 into one script, piece by piece."""
    with script.open("w", encoding="ascii") as written:
        written.write("window.vergerFiles ??= {};\n")
        for file in files:
            written.write(f'window.vergerFiles["{file.name}"] = "')
            with file.open("rb") as stream:
                while piece := stream.read(_PIECE):
                    written.write(base64.b64encode(piece).decode())
            written.write('";\n')


def _upload(s3: "S3Client", path: Path, address: S3Address) -> None:
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    s3.upload_file(str(path), address.bucket, address.key, ExtraArgs={"ContentType": kind})

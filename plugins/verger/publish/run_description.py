"""`run.json`, and the same content where a page that was opened from a disk may read it."""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from verger.storage.byte_objects import put_bytes
from verger.storage.json_objects import json_bytes, write_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: A page on a disk may not fetch, but may load a script.
RUN_SCRIPT = "explorer/data/run.js"


def put_run_description(s3: "S3Client", run: RunLayout, description: Mapping[str, Any]) -> None:
    """Write the script, then `run.json`."""
    encoded = base64.b64encode(json_bytes(description)).decode()
    script = f'window.vergerFiles ??= {{}};\nwindow.vergerFiles["run.json"] = "{encoded}";\n'
    put_bytes(s3, run.result_file(RUN_SCRIPT), script.encode(), "text/javascript; charset=utf-8")
    write_json(s3, run.result_file("run.json"), description)

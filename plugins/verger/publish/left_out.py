"""What a run left out, from what its sync and its plan wrote down."""

from typing import TYPE_CHECKING, Any

from verger_rules.addresses import S3Address

from verger.storage.json_objects import read_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def read_left_out(s3: "S3Client", run: RunLayout) -> dict[str, Any]:
    """`left_out` of `run.json`: `files`, and of `source` and `bucket` each `files` and `reasons` (docs/formats.md).

    A run without a source left nothing out of it, and one that an earlier version planned wrote nothing down.
    """
    places = {"source": run.left_out_of_source, "bucket": run.left_out_of_bucket}
    found = {place: _summary(s3, record) for place, record in places.items()}
    return {"files": sum(summary["files"] for summary in found.values()), **found}


def _summary(s3: "S3Client", record: S3Address) -> dict[str, Any]:
    written = read_json(s3, record) or {}
    return {"files": written.get("left_out", 0), "reasons": written.get("left_out_reasons", [])}

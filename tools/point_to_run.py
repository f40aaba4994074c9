"""Leads readers to a run on purpose: makes results/latest.json point to it, also to one that was planned earlier.

A run moves latest.json forward only. This is the way back, for example from a run whose pictures were wrong. It lasts
until a run that was planned later publishes: pause the DAG, or mend what was wrong, before the next one. Names the run
by its id or by its folder's name below results/. Last line of stdout: one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from verger.publish.latest_pointer import pointer_to
from verger.storage.conditional_writes import change_json
from verger.storage.json_objects import read_json
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.layout import run_slug

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_s3 import S3Client

#: What a reader of `latest.json` opens. `run.json` is written last: when it is there, the run's counts have agreed.
NEEDED = ("run.json", "matrix.parquet")


class RequestError(ValueError):
    """The request cannot be done; nothing was changed."""


def parse_args(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="point_to_run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="the run's id, or its folder's name below results/")
    parser.add_argument("--bucket", default=environment.get("VERGER_BUCKET", ""), help="default: VERGER_BUCKET")
    parser.add_argument("--region", default=environment.get("VERGER_REGION"), help="default: VERGER_REGION, AWS's own")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be")
    return parser.parse_args(arguments)


def find_run(s3: S3Client, layout: BucketLayout, named: str) -> dict[str, Any]:
    """What `latest.json` is to hold for a run that is named by its id or its folder.

    Raises RequestError when its results are not whole.
    """
    for slug in (run_slug(named), named):
        description = read_json(s3, layout.address(f"results/{slug}/run.json"))
        if description is not None:
            break
    else:
        raise RequestError(
            f"there is no results/{run_slug(named)}/run.json in {layout.bucket}, and no results/{named}/run.json: "
            "a run that has published is named by its id or by its folder below results/"
        )
    run = RunLayout(layout, str(description["run_id"]))
    if run.slug != slug:
        raise RequestError(f"results/{slug}/run.json is that of the run {run.run_id!r}: it was put there by somebody")
    there = _names(s3, run)
    if missing := [name for name in NEEDED if name not in there]:
        raise RequestError(f"{run.results_uri}/ lacks {', '.join(missing)}: readers would find no results there")
    return pointer_to(run, description)


def _names(s3: S3Client, run: RunLayout) -> set[str]:
    folder = run.result_file()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
    return {entry["Key"].removeprefix(folder.key) for page in pages for entry in page.get("Contents", ())}


def run(asked: argparse.Namespace) -> int:
    """Do what was asked; the exit code. Raises RequestError, and botocore's errors."""
    if not asked.bucket:
        raise RequestError("which bucket? Give --bucket, or set VERGER_BUCKET")
    config = Config(retries={"mode": "standard", "max_attempts": 6})
    s3 = boto3.client("s3", region_name=asked.region, config=config)
    layout = BucketLayout(asked.bucket)
    pointer = find_run(s3, layout, asked.run)
    was: list[dict[str, Any] | None] = []

    def move(there: dict[str, Any] | None) -> dict[str, Any]:
        was.append(there)
        return pointer

    if asked.dry_run:
        move(read_json(s3, layout.latest))
    else:
        change_json(s3, layout.latest, move)
    # Not simply the last look: it may have found our own, of a PUT whose answer was lost.
    before = next((there for there in reversed(was) if there != pointer), pointer)
    print(f"{layout.latest.uri} {'points' if asked.dry_run else 'pointed'} to: {_told(before)}")
    print(f"it {'would point' if asked.dry_run else 'points now'} to: {_told(pointer)}")
    told = {"bucket": asked.bucket, "dry_run": asked.dry_run, "was": before, "now": pointer}
    print(json.dumps(told))
    return 0


def _told(pointer: Mapping[str, Any] | None) -> str:
    if pointer is None:
        return "nothing, it is not there"
    return f"the run {pointer.get('run_id')}, planned at {pointer.get('planned_at', 'a time that it does not say')}"


def main() -> int:
    """The program."""
    asked = parse_args(sys.argv[1:], os.environ)
    try:
        return run(asked)
    except RequestError as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 2
    except (ClientError, BotoCoreError, OSError, ValueError, KeyError) as error:
        print(f"verger: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""Applies a review of pictures: does in the bucket what was marked in the explorer and exported as review.csv.

`wrong label` with a new label moves the picture to that label's folder, `remove` deletes it, `look again` does nothing.
Without --apply it only tells what would be done. The whole file is checked first: nothing is done if a row is wrong.
Nothing is ever overwritten, and a picture that changed since it was reviewed is left alone. Run it again after it was
interrupted: it finishes. Exit code 0: done; 1: it could not finish; 2: refused, nothing was touched; 3: done but for
some pictures, which are named. Last line of stdout: one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from verger.run.deployment import Deployment
from verger.run.eu_guard import BucketMissingError, OutsideEuError, check_bucket
from verger.run.images_prefix import check_images_prefix
from verger.storage.file_names import printable
from verger.storage.layout import BucketLayout

from tools.erasure.objects import has_versions
from tools.review.changes import plan_changes
from tools.review.marks import ReviewError, read_marks
from tools.review.outcomes import Work
from tools.review.pictures import Pictures
from tools.review.report import About, counts, line_of, notes, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AT_ONCE = 8
DONE, UNFINISHED, REFUSED, PARTLY_REFUSED = 0, 1, 2, 3


def parse_args(arguments: Sequence[str], deployment: Deployment) -> argparse.Namespace:
    """The command line; what VERGER_* says of the installation is its default."""
    parser = argparse.ArgumentParser(
        prog="apply_review.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("review", type=Path, metavar="REVIEW.csv", help="the file that the explorer exported")
    parser.add_argument("--apply", action="store_true", help="do it; without this it only tells what would be done")
    parser.add_argument(
        "--old-label-in-name",
        action="store_true",
        help="put the old label before the name of each picture that is moved: for folders with the same file names",
    )
    parser.add_argument("--bucket", default=deployment.bucket, help="default: VERGER_BUCKET")
    parser.add_argument("--region", default=deployment.region, help="default: VERGER_REGION")
    parser.add_argument(
        "--images-prefix",
        default=deployment.images_prefix,
        help="where the pictures lie; default: VERGER_IMAGES_PREFIX",
    )
    return parser.parse_args(arguments)


def deployment_of(environment: Mapping[str, str]) -> Deployment:
    """The installation. Raises ReviewError when the environment is wrong about it."""
    try:
        return Deployment.from_environment(environment)
    except ValueError as error:
        raise ReviewError([str(error)]) from error


def layout_of(asked: argparse.Namespace) -> BucketLayout:
    """Where the pictures lie. Raises ReviewError when nobody says so, or they cannot lie there."""
    if not asked.bucket:
        raise ReviewError(["which bucket? Give --bucket, or set VERGER_BUCKET"])
    if (wrong := check_images_prefix(asked.images_prefix)) is not None:
        raise ReviewError([f"--images-prefix is {asked.images_prefix!r}: {wrong}"])
    return BucketLayout(asked.bucket, asked.images_prefix)


def read_review(file: Path) -> tuple[datetime, bytes]:
    """When a review was saved, and its content. Raises ReviewError when it cannot be read."""
    try:
        # First the time: what is stored in the bucket from now on was not reviewed.
        return datetime.fromtimestamp(file.stat().st_mtime, UTC), file.read_bytes()
    except OSError as error:
        raise ReviewError([f"{file}: {error.strerror or error}"]) from error


def run(asked: argparse.Namespace, deployment: Deployment) -> int:
    """Do what was asked; the exit code. Raises ReviewError, eu_guard's errors, and botocore's."""
    layout = layout_of(asked)
    saved_at, content = read_review(asked.review)
    changes = plan_changes(read_marks(content), layout, old_label_in_name=asked.old_label_in_name)
    config = Config(retries={"mode": "standard", "max_attempts": 6}, max_pool_connections=2 * AT_ONCE)
    s3 = boto3.client("s3", region_name=asked.region, config=config)
    check_bucket(s3, layout.bucket)
    work = Work(Pictures(s3, layout.bucket), saved_at, apply=asked.apply)
    outcomes = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        folders = sorted({change.target.rpartition("/")[0] + "/" for change in changes if change.target})
        empty = [
            folder for folder, none in zip(folders, pool.map(work.pictures.is_empty, folders), strict=True) if none
        ]
        about = About(deployment.source, has_versions(s3, layout.bucket), empty)
        for outcome in pool.map(work.outcome, changes):
            print(line_of(outcome, applied=asked.apply), flush=True)
            outcomes.append(outcome)
    found = counts(outcomes)
    print(summary(found, applied=asked.apply))
    for note in notes(outcomes, about, applied=asked.apply):
        print(note)
    print(json.dumps({"bucket": layout.bucket, "applied": asked.apply, **found}))
    return PARTLY_REFUSED if found["refused"] else DONE


def fail(error: Exception) -> None:
    """Say why it failed, a line each reason."""
    for reason in getattr(error, "reasons", [" ".join(str(error).split())]):
        print(f"verger: error: {printable(reason)}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """The program."""
    try:
        deployment = deployment_of(environment)
        return run(parse_args(sys.argv[1:] if arguments is None else arguments, deployment), deployment)
    except (ReviewError, OutsideEuError, BucketMissingError) as error:
        fail(error)
        return REFUSED
    except (ClientError, BotoCoreError, OSError) as error:
        fail(error)
        return UNFINISHED
    except KeyboardInterrupt:
        print("interrupted: run again to go on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

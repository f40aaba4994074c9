"""Freezes the list of a bucket's pictures, for a run of the two jobs that no Airflow starts: Databricks, or by hand.

    tools/write_manifest.py --bucket BUCKET
    tools/write_manifest.py --bucket BUCKET --run-id "try 3"

Writes runs/<slug>/manifest.parquet as the DAG's `plan_run` does, and prints the command that starts the Databricks job
with it. Nothing is computed. Last line of stdout: one JSON object with the job's parameters.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from verger.artifacts.model_store import ModelError, find_model, find_wanted_model
from verger.plan.frozen_list import freeze_list
from verger.plan.listing import NoImagesError, check_any_image, objects_page_by_page
from verger.plan.plan_space import PlanLimits, plan_space
from verger.plan.planning import list_bucket, write_left_out
from verger.run.eu_guard import BucketMissingError, OutsideEuError, check_bucket
from verger.storage.layout import BucketLayout, RunLayout
from verger.storage.left_out import describe_reasons

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_s3 import S3Client

JOB = "fruits_features"


def parse_args(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="write_manifest.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    bucket = environment.get("VERGER_BUCKET")
    parser.add_argument("--bucket", default=bucket, required=not bucket, help="default: VERGER_BUCKET")
    parser.add_argument("--region", default=environment.get("VERGER_REGION"), help="default: VERGER_REGION, AWS's own")
    parser.add_argument("--images-prefix", default="images/", help="where the pictures lie")
    parser.add_argument("--model", metavar="FINGERPRINT", help="default: the bucket's default model")
    parser.add_argument("--run-id", help="default: by hand and the time; a run id of its own for each run")
    parsed = parser.parse_args(arguments)
    if "," in (parsed.run_id or ""):
        parser.error(f"--run-id {parsed.run_id!r}: Databricks' command line takes no commas in a parameter")
    return parsed


def job_parameters(s3: S3Client, run: RunLayout, fingerprint: str | None) -> dict[str, str]:
    """Write the manifest of a run; the parameters of `databricks.yml` that belong to it.

    Raises:
        NoImagesError: there is no picture.
        ModelError: the model is not there.
    """
    model = find_model(s3, run.layout, fingerprint) if fingerprint else find_wanted_model(s3, run.layout, "")
    if model is None:
        wanted = f"model {fingerprint}" if fingerprint else "default model"
        raise ModelError(
            f"{run.layout.models_uri} holds no {wanted}: prepare it with "
            f"tools/prepare_model.py --models-uri {run.layout.models_uri} --make-default"
        )
    address = run.run_file("manifest.parquet")
    list_objects = partial(objects_page_by_page, s3, run.layout)
    with plan_space(PlanLimits()) as space:
        listing = check_any_image(list_bucket(list_objects, list_objects, run.layout, space), run.layout)
        left_out = write_left_out(s3, run, listing.left_out)
        s3.upload_file(str(freeze_list(space, b"").file), address.bucket, address.key)
    for line in describe_reasons(left_out):
        print(line)
    print(f"{address.uri}: {listing.images} pictures; model {model.fingerprint} (weights: {model.weights})")
    return {
        "bucket": run.layout.bucket,
        "run_slug": run.slug,
        "run_id": run.run_id,
        "model_fingerprint": model.fingerprint,
    }


def main() -> int:
    """The program."""
    asked = parse_args(sys.argv[1:], os.environ)
    run_id = asked.run_id or f"by hand {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    run = RunLayout(BucketLayout(asked.bucket, asked.images_prefix), run_id)
    try:
        s3 = boto3.client("s3", region_name=asked.region, config=Config(retries={"mode": "standard"}))
        check_bucket(s3, asked.bucket)
        parameters = job_parameters(s3, run, asked.model)
    except (NoImagesError, ModelError, OutsideEuError, BucketMissingError) as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 2
    except (ClientError, BotoCoreError, OSError) as error:
        print(f"verger: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    pairs = ",".join(f"{name}={value}" for name, value in parameters.items())
    print(f"databricks bundle run {JOB} --params {shlex.quote(pairs)}")
    print(json.dumps(parameters))
    return 0


if __name__ == "__main__":
    sys.exit(main())

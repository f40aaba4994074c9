"""What a user of the stack waits: from the last picture that was copied into the bucket to the published matrix.

    python -m tools.benchmarks.stack_latency [--pictures 20] [--compute auto|cluster]

The stack must be up (`make up`) and idle, with results in its bucket. `auto` lets the pictures start the run, as they
do for users; `cluster` triggers it on a cluster, to be compared. Prints one line of JSON with seconds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from tools.draw_images import Drawing, write_images

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DAG, BUCKET, LATEST = "fruits_features", "verger", "results/latest.json"
LOOK_SECONDS = 0.2
MOST_SECONDS = 900.0


@dataclass(frozen=True)
class Stack:
    """The running stack's S3 and Airflow."""

    s3: S3Client
    airflow: str
    token: str

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A call of Airflow's API."""
        return _call(f"{self.airflow}/api/v2/dags/{DAG}{path}", body, self.token)

    def latest(self) -> dict[str, Any]:
        """The pointer to the results."""
        content: dict[str, Any] = json.load(self.s3.get_object(Bucket=BUCKET, Key=LATEST)["Body"])
        return content


def _call(address: str, body: dict[str, Any] | None, token: str = "") -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - the stack's own address
        address,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
        content: dict[str, Any] = json.load(answer)
    return content


def connect() -> Stack:
    """Clients, with what `make login` tells."""
    command = ["docker", "compose", "exec", "-T", "api-server", "python", "/opt/verger/docker/airflow/show_login.py"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.replace("=", " ").split()

    def after(word: str) -> str:
        return told[told.index(word) + 1]

    s3 = boto3.client(
        "s3",
        endpoint_url=after("AWS_ENDPOINT_URL_S3"),
        region_name="eu-west-1",
        aws_access_key_id=after("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=after("AWS_SECRET_ACCESS_KEY"),
        config=Config(s3={"addressing_style": "path"}),
    )
    airflow = after("Airflow")
    token = _call(f"{airflow}/auth/token", {"username": after("user"), "password": after("password")})["access_token"]
    return Stack(s3, airflow, token)


def drop(stack: Stack, pictures: int) -> None:
    """Copy new pictures into the bucket."""
    seed = int(time.time())
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), Drawing(images=pictures, labels=4, seed=seed))
        for file in sorted(Path(folder).rglob("*.jpg")):
            key = f"images/dropped {file.parent.name}/{seed}-{file.name}"
            stack.s3.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())


def measure(stack: Stack, pictures: int, compute: str) -> dict[str, Any]:
    """Drop pictures and wait for their matrix; seconds from the last PUT, and of the run itself."""
    before = stack.latest()["run_id"]
    drop(stack, pictures)
    dropped = time.time()
    if compute != "auto":
        stack.call("/dagRuns", {"logical_date": None, "conf": {"compute": compute}})
    while (latest := stack.latest())["run_id"] == before:
        if time.time() - dropped > MOST_SECONDS:
            raise TimeoutError(f"{LATEST} still shows {before}")
        time.sleep(LOOK_SECONDS)
    published = time.time()
    run = stack.call(f"/dagRuns/{urllib.parse.quote(latest['run_id'])}")
    began = datetime.fromisoformat(run["start_date"]).astimezone(UTC).timestamp()
    description = stack.s3.get_object(Bucket=BUCKET, Key=f"results/{latest['slug']}/run.json")["Body"]
    return {
        "pictures": pictures,
        "place": json.load(description)["place"],
        "until_the_run_begins": round(began - dropped, 1),
        "of_the_run_until_the_matrix": round(published - began, 1),
        "from_the_last_picture_to_the_matrix": round(published - dropped, 1),
        "featurize": json.load(stack.s3.get_object(Bucket=BUCKET, Key=f"runs/{latest['slug']}/featurize.json")["Body"])[
            "seconds"
        ]["total"],
    }


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--compute", choices=("auto", "cluster"), default="auto")
    asked = parser.parse_args()
    print(json.dumps(measure(connect(), asked.pictures, asked.compute)))


if __name__ == "__main__":
    main()

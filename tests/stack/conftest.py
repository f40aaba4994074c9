"""The compose stack, built and started once for all tests of this folder, and removed with everything in it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from mypy_boto3_emr import EMRClient
from mypy_boto3_s3 import S3Client

from tests.e2e.installation import draw
from tests.stack.airflow_api import AirflowApi
from tests.stack.compose_project import ComposeProject, free_ports
from tools.local_run import clusters

PROJECT_NAME = "verger-tests"
PICTURES = 24


@dataclass(frozen=True)
class Stack:
    """The running stack, and `pictures`: the folder of this machine that its tasks see as /pictures."""

    compose: ComposeProject
    api: AirflowApi
    s3: S3Client
    emr: EMRClient
    pictures: Path

    def alive(self) -> list[clusters.ClusterState]:
        """Clusters that would still cost money."""
        return [cluster for cluster in clusters.list_clusters(self.emr) if not cluster.ended]

    def stored(self) -> int:
        """How many pictures the bucket holds, whoever put them there."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="verger", Prefix="images/")
        return sum(entry["Key"].endswith(".jpg") for page in pages for entry in page.get("Contents", []))

    def read_json(self, key: str) -> dict[str, Any] | None:
        """A JSON object of the bucket; None where there is none."""
        try:
            body = self.s3.get_object(Bucket="verger", Key=key)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None
        found: dict[str, Any] = json.loads(body)
        return found


@pytest.fixture(scope="session")
def compose(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposeProject]:
    """The project, not started yet; nothing is left of it afterwards."""
    if (
        shutil.which("docker") is None
        or subprocess.run(["docker", "version"], capture_output=True, check=False).returncode
    ):
        pytest.fail("no Docker engine answers: `make test-stack` says how to get one")
    pictures = draw(tmp_path_factory.mktemp("pictures"), PICTURES)
    ports = dict(zip(("UI", "S3", "EMR"), map(str, free_ports(3)), strict=True))
    variables = {f"VERGER_{name}_PORT": port for name, port in ports.items()}
    variables |= {"VERGER_PICTURES": str(pictures), "VERGER_QUIET_SECONDS": "8", "VERGER_WATCH_SECONDS": "2"}
    for path in (pictures, *pictures.parents):  # the containers' user is another one
        if path.is_relative_to(tmp_path_factory.getbasetemp()):
            path.chmod(0o755)
    tmp_path_factory.getbasetemp().parent.chmod(0o755)
    compose = ComposeProject(PROJECT_NAME, project, variables)
    compose.down("--volumes")  # of tests that were killed
    yield compose
    if os.environ.get("VERGER_KEEP_STACK"):
        return
    compose.down("--volumes")
    assert compose.left_over() == []


@pytest.fixture(scope="session")
def stack(compose: ComposeProject) -> Iterator[Stack]:
    """The stack, up and well. No cluster may be alive at the end."""
    compose.up()
    stack = connect(compose)
    yield stack
    assert stack.alive() == []


def connect(compose: ComposeProject) -> Stack:
    """Clients for what the project publishes, with what `make login` tells."""
    told = compose.run("exec", "-T", "api-server", "python", "/opt/verger/docker/airflow/show_login.py").stdout
    words = told.replace("=", " ").split()

    def after(word: str) -> str:
        return words[words.index(word) + 1]

    options: dict[str, Any] = {
        "region_name": "eu-west-1",
        "aws_access_key_id": after("AWS_ACCESS_KEY_ID"),
        "aws_secret_access_key": after("AWS_SECRET_ACCESS_KEY"),
        "config": Config(retries={"total_max_attempts": 4}, s3={"addressing_style": "path"}),
    }
    return Stack(
        compose,
        AirflowApi(after("Airflow"), after("user"), after("password")),
        boto3.client("s3", endpoint_url=after("AWS_ENDPOINT_URL_S3"), **options),
        boto3.client("emr", endpoint_url=f"http://127.0.0.1:{compose.variables['VERGER_EMR_PORT']}", **options),
        Path(compose.variables["VERGER_PICTURES"]),
    )

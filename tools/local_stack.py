"""AWS for one machine: an S3 server on a folder and a local EMR, for as long as a context is open.

with running(StackSettings.for_project(project, state)) as stack:
    subprocess.run(..., env=os.environ | stack.environment)
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.config import Config

from tools.local_run import emr_server, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_emr import EMRClient
    from mypy_boto3_s3 import S3Client

REGION: Literal["eu-west-1"] = "eu-west-1"
BUCKET = "verger-demo"


@dataclass(frozen=True)
class StackSettings:
    """What the stack runs on and where it keeps its state.

    Attributes:
        project: Verger's folder.
        environments: the folder of the Python environments (`spark`, `local_emr`, `model`, `node`).
        state: the folder whose content is kept: `s3/` and `node/`.
        logs: the folder for the servers' logs.
        bucket: the bucket that is made when it is not there.
        cores: task slots of a Spark step.
        on_yarn: whether clusters have a real YARN with a node for each machine, or their steps run as `local[cores]`.
        idle_time_scale: seconds that a second of a cluster's idle time-out, or of its nodes' own clock, takes.
    """

    project: Path
    environments: Path
    state: Path
    logs: Path
    bucket: str = BUCKET
    cores: int = 2
    on_yarn: bool = False
    idle_time_scale: float = 1.0

    @classmethod
    def for_project(cls, project: Path, state: Path, logs: Path, *, on_yarn: bool = False) -> StackSettings:
        """The stack of a checkout, with a task slot for each core."""
        return cls(project, project / ".venv", state, logs, cores=os.cpu_count() or 1, on_yarn=on_yarn)


@dataclass(frozen=True)
class Stack:
    """A running stack."""

    settings: StackSettings
    s3_url: str
    emr_url: str
    access_key: str
    secret_key: str

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find S3, EMR and this installation's settings, as environment variables."""
        return installation(self.settings) | {
            "AWS_ENDPOINT_URL_S3": self.s3_url,
            "AWS_ENDPOINT_URL_EMR": self.emr_url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def s3(self) -> S3Client:
        """A client of the S3 server."""
        return boto3.client("s3", endpoint_url=self.s3_url, **self._client_options)

    def emr(self) -> EMRClient:
        """A client of the local EMR."""
        return boto3.client("emr", endpoint_url=self.emr_url, **self._client_options)

    @property
    def _client_options(self) -> dict[str, Any]:
        return {
            "region_name": REGION,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "config": Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        }


def installation(settings: StackSettings) -> dict[str, str]:
    """What is known of a stack before it runs, as environment variables."""
    return {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        # a person's own profiles must not lead anywhere else
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "VERGER_HOME": str(settings.project),
        "VERGER_BUCKET": settings.bucket,
        "VERGER_REGION": REGION,
        "VERGER_MODEL_PYTHON": str(settings.environments / "model" / "bin" / "python"),
        "VERGER_NODE_PYTHON": str(settings.environments / "node" / "bin" / "python"),
        "VERGER_POLL_SECONDS": "1",
        # The local EMR stores a log before it tells that its step has ended.
        "VERGER_LOG_SECONDS": "30",
    }


def cleared(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without what would lead AWS clients, Airflow or Verger anywhere but to the stack."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "AIRFLOW_", "VERGER_", "SPARK_", "PYSPARK_")) and name != "PYTHONHOME"
    }


@contextlib.contextmanager
def running(settings: StackSettings) -> Iterator[Stack]:
    """Starts both servers and makes the bucket; stops them at the end, S3 last. Raises processes.ServerError."""
    s3_settings = s3_server.S3Settings(
        data=settings.state / "s3",
        work=settings.state / "s3proxy",
        log=settings.logs / "s3.log",
        jars=settings.project / ".cache" / "jars" / "s3proxy",
        java=_java(os.environ),
    )
    with s3_server.running(s3_settings) as s3:
        emr_settings = emr_server.EmrSettings(
            project=settings.project,
            environments=settings.environments,
            work=settings.state / "emr",
            node_root=settings.state / "node",
            log=settings.logs / "emr.log",
            cores=settings.cores,
            on_yarn=settings.on_yarn,
            region=REGION,
            idle_time_scale=settings.idle_time_scale,
        )
        with emr_server.running(emr_settings, s3) as emr_url:
            stack = Stack(settings, s3.url, emr_url, s3.access_key, s3.secret_key)
            _make_bucket(stack)
            yield stack


def _java(environment: Mapping[str, str]) -> str:
    home = environment.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def _make_bucket(stack: Stack) -> None:
    s3 = stack.s3()
    names = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    if stack.settings.bucket not in names:
        s3.create_bucket(Bucket=stack.settings.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

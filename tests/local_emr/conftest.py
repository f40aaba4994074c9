"""Fixtures: a local EMR in this process, and what a user of its API needs to drive it."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local_emr import LocalEmrSettings
from local_emr.server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_emr import EMRClient
    from mypy_boto3_s3 import S3Client

BUCKET = "local-emr-tests"
REGION: Final = "eu-west-1"
ACCESS_KEY: Final = "test"
SECRET_KEY: Final = "the-secret-of-these-tests"  # noqa: S105
OVER = ("TERMINATED", "TERMINATED_WITH_ERRORS")


def wait_until(is_true: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait until `is_true`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def kill(pid: int) -> None:
    """SIGKILL, for a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def bash(script: str, action: str = "CONTINUE", name: str = "step") -> dict[str, Any]:
    """A step that runs a line of bash."""
    jar = {"Jar": "command-runner.jar", "Args": ["bash", "-c", script]}
    return {"Name": name, "ActionOnFailure": action, "HadoopJarStep": jar}


@dataclass(frozen=True)
class Lab:
    """A user of the API: starts clusters, waits for them, reads their logs."""

    emr: EMRClient
    s3: S3Client
    endpoint: str

    def start(
        self, *steps: Mapping[str, Any], keep: bool = True, instances: Mapping[str, Any] | None = None, **more: Any
    ) -> str:
        """RunJobFlow with defaults; the cluster's id."""
        shape = {"MasterInstanceType": "m7g.xlarge", "InstanceCount": 1} if instances is None else instances
        request: dict[str, Any] = {
            "Name": "test",
            "ReleaseLabel": "emr-spark-8.1.0",
            "ServiceRole": "EMR_DefaultRole",
            "JobFlowRole": "EMR_EC2_DefaultRole",
            "LogUri": f"s3://{BUCKET}/logs/",
            "Instances": {"KeepJobFlowAliveWhenNoSteps": keep, **shape},
            "Steps": list(steps),
        }
        return self.emr.run_job_flow(**(request | more))["JobFlowId"]

    def status(self, cluster_id: str) -> dict[str, Any]:
        """The cluster's status."""
        return dict(self.emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"])

    def reach(self, cluster_id: str, *states: str) -> dict[str, Any]:
        """Wait for one of these states; the status."""
        wait_until(lambda: self.status(cluster_id)["State"] in states)
        return self.status(cluster_id)

    def end(self, cluster_id: str) -> dict[str, Any]:
        """Terminate the cluster and wait for it; the status."""
        self.emr.terminate_job_flows(JobFlowIds=[cluster_id])
        return self.reach(cluster_id, *OVER)

    def steps(self, cluster_id: str) -> list[dict[str, Any]]:
        """The steps in their order, each with its state first."""
        return [dict(step) for step in reversed(self.emr.list_steps(ClusterId=cluster_id)["Steps"])]

    def step_states(self, cluster_id: str) -> list[str]:
        """The states of the steps in their order."""
        return [step["Status"]["State"] for step in self.steps(cluster_id)]

    def add(self, cluster_id: str, *steps: Mapping[str, Any]) -> list[str]:
        """AddJobFlowSteps; the ids."""
        return self.emr.add_job_flow_steps(JobFlowId=cluster_id, Steps=list(steps))["StepIds"]  # type: ignore[arg-type] # shapes of dicts

    def log(self, cluster_id: str, place: str) -> str:
        """A log as it lies in S3; empty if it is not there."""
        try:
            stored = self.s3.get_object(Bucket=BUCKET, Key=f"logs/{cluster_id}/{place}.gz")
        except ClientError:
            return ""
        return gzip.decompress(stored["Body"].read()).decode()

    def put(self, key: str, text: str) -> str:
        """Store a text; its address."""
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())
        return f"s3://{BUCKET}/{key}"

    def make_bucket(self) -> None:
        """The tests' bucket, unless it is there: all local EMRs of one process share one S3 in memory."""
        if BUCKET not in {bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]}:
            self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def pid_in(self, file: Path) -> int:
        """The process id that a step writes to a file, once it has."""
        wait_until(lambda: file.exists() and file.read_text().strip().isdecimal())
        return int(file.read_text())


def node_with_python(root: Path, python: Path) -> Path:
    """A node's root directory with a Python where Verger's bootstrap action puts it."""
    environment = root / "opt" / "verger" / "venv"
    environment.mkdir(parents=True)
    (environment / "bin").symlink_to(python.parent)
    return root


def java_home() -> Path | None:
    """Where the `java` of the path really lies; none where there is none."""
    java = shutil.which("java")
    return Path(os.path.realpath(java)).parent.parent if java else None


def clients(endpoint: str, region: str = REGION) -> Lab:
    """boto3's clients for a server with the key of these tests."""
    session = boto3.Session(aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name=region)
    return Lab(
        emr=session.client("emr", endpoint_url=endpoint),
        s3=session.client("s3", endpoint_url=endpoint),
        endpoint=endpoint,
    )


def send(
    endpoint: str,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    key: tuple[str, str] | None = (ACCESS_KEY, SECRET_KEY),
    service: str = "elasticmapreduce",
) -> httpx.Response:
    """One request as it is given, signed with this key (none: not signed)."""
    request = AWSRequest(method, endpoint + path, {"Content-Type": "application/json", **(headers or {})}, body)
    if key is not None:
        SigV4Auth(Credentials(*key), service, REGION).add_auth(request)
    return httpx.request(method, endpoint + path, content=body, headers=dict(request.headers.items()), trust_env=False)


@pytest.fixture(scope="session")
def emr_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A local EMR in this process that loses no time, in which an idle minute takes 0.6 s."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    settings = LocalEmrSettings(
        work_dir=tmp_path_factory.mktemp("local_emr"),
        provision_seconds=0.05,
        terminate_seconds=0.0,
        log_seconds=0.2,
        grace_seconds=0.5,
        idle_time_scale=0.01,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
    )
    with serving(settings) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def lab(emr_endpoint: str) -> Lab:
    """A user of that local EMR, with a bucket."""
    user = clients(emr_endpoint)
    user.make_bucket()
    return user

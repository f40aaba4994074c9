"""Fixtures for all tests: S3 and EMR servers in this process."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import hypothesis
import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_emr import EMRClient
from mypy_boto3_s3 import S3Client
from verger.prices import PriceTable, load_prices

from local_emr import LocalEmrSettings
from local_emr.server import serving
from tests.aws_models import held_against_models

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"

# A bound of milliseconds would fail on a busy machine.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _aws_models() -> Iterator[None]:
    """Whatever a test sends to AWS, AWS's models must allow."""
    with held_against_models():
        yield


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and weights beside the project; the test is skipped where it is missing."""
    if not (SHARED / "photos").is_dir():
        pytest.skip(f"the pictures and weights of {SHARED.name}/ are not beside the project")
    return SHARED


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A moto server on this machine."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, s3_endpoint: str) -> str:
    """This process's AWS settings point to the server; returns its address."""
    lead_aws_to(monkeypatch, s3_endpoint, "testing", "testing")
    return s3_endpoint


def lead_aws_to(monkeypatch: pytest.MonkeyPatch, address: str, access_key: str, secret_key: str) -> None:
    """Point this process's AWS settings to a server."""
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def s3(aws: str) -> S3Client:
    """A client of the server."""
    return boto3.client("s3", endpoint_url=aws, region_name="eu-west-1")


@pytest.fixture
def bucket(s3: S3Client, request: pytest.FixtureRequest) -> str:
    """An empty bucket in eu-west-1, of this test alone."""
    name = f"fruits-{abs(hash(request.node.nodeid)):x}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return name


@pytest.fixture(scope="session")
def prices() -> PriceTable:
    """The price table."""
    return load_prices()


@pytest.fixture(scope="session")
def local_emr_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A local EMR in this process that loses no time."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    settings = LocalEmrSettings(
        work_dir=tmp_path_factory.mktemp("local_emr"),
        provision_seconds=0.01,
        terminate_seconds=0.0,
        grace_seconds=0.2,
        access_key="testing",
        secret_key="testing",  # noqa: S106 - what the fixture `local_emr` signs with
    )
    with serving(settings) as endpoint:
        yield endpoint


@pytest.fixture
def local_emr(local_emr_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> EMRClient:
    """A client of the local EMR; this process's AWS settings point to it."""
    for name, value in {
        "AWS_ENDPOINT_URL": local_emr_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    return boto3.client("emr", endpoint_url=local_emr_endpoint, region_name="eu-west-1")


@pytest.fixture
def create_cluster(local_emr: EMRClient) -> Iterator[Callable[..., str]]:
    """RunJobFlow with the least it takes; what a test leaves alive is ended after it."""
    created: list[str] = []

    def create(**request: Any) -> str:
        least: dict[str, Any] = {
            "Name": "test",
            "ReleaseLabel": "emr-spark-8.1.0",
            "ServiceRole": "service",
            "JobFlowRole": "nodes",
            "Instances": {
                "MasterInstanceType": "m6i.xlarge",
                "InstanceCount": 1,
                "KeepJobFlowAliveWhenNoSteps": True,
            },
        }
        created.append(local_emr.run_job_flow(**(least | request))["JobFlowId"])
        return created[-1]

    yield create
    if created:
        local_emr.terminate_job_flows(JobFlowIds=created)

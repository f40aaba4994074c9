"""Fixtures: an EMR of this machine, with fleets and real step processes but without a JVM."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from mypy_boto3_emr import EMRClient
from verger.prices import PriceTable, load_prices

from local_emr import LocalEmrSettings
from local_emr.server import serving


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

"""A prepared model, a bucket that holds it, and this process set up to start Spark as the jobs do."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from mypy_boto3_s3 import S3Client
from pyspark import SparkContext

from tests.conftest import lead_aws_to
from tests.spark_jobs.job_world import JARS, PROJECT, S3A, SPARK_HOME, SPARK_PYTHON, JobWorld, put_model, zip_jobs
from tools.local_run import s3_server
from tools.local_run.s3_server import S3Endpoint, S3Settings

MODELS = PROJECT / ".cache/models"
REAL_MODEL = "ebb57cc46fd7d348"
RANDOM_MODEL = "305ddac496e40bc7"


def prepared_model(fingerprint: str, *arguments: str) -> Path:
    """A model folder under `.cache/models`, prepared when it is missing."""
    folder = MODELS / fingerprint
    if not (folder / "model.json").exists():
        program = [PROJECT / ".venv/model/bin/python", PROJECT / "tools/prepare_model.py"]
        subprocess.run([*program, "--output-dir", MODELS, *arguments], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def random_model_folder() -> Path:
    """A model of random weights: enough where features need no meaning."""
    return prepared_model(RANDOM_MODEL, "--random")


@pytest.fixture(scope="session")
def real_model_folder(shared: Path) -> Path:
    """The model of the ImageNet weights."""
    weights = shared / "weights" / "mobilenet_v2_1.0_224_no_top.weights.h5"
    return prepared_model(REAL_MODEL, "--weights", str(weights))


@pytest.fixture
def world(s3: S3Client, bucket: str, aws: str, random_model_folder: Path) -> JobWorld:
    """A bucket with a model and no picture."""
    return JobWorld(s3, bucket, aws, put_model(s3, bucket, random_model_folder))


@pytest.fixture(scope="session")
def s3proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    """The S3 server of `make demo`."""
    folder = tmp_path_factory.mktemp("s3proxy")
    jars = PROJECT / ".cache/jars/s3proxy"
    with s3_server.running(S3Settings(folder / "data", folder / "work", folder / "log", jars)) as endpoint:
        yield endpoint


@pytest.fixture
def aws_of_either_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, s3_endpoint: str) -> str:
    """The address of the server that the test's parameter names, moto or s3proxy; AWS's variables lead there."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the keys of the first test
    if request.param != "s3proxy":
        lead_aws_to(monkeypatch, s3_endpoint, "testing", "testing")
        return s3_endpoint
    endpoint: S3Endpoint = request.getfixturevalue("s3proxy")
    lead_aws_to(monkeypatch, endpoint.url, endpoint.access_key, endpoint.secret_key)
    return endpoint.url


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `spark_jobs.zip` and the two job files, as it is published."""
    return zip_jobs(tmp_path_factory.mktemp("code")).parent


@pytest.fixture(scope="session")
def spark_ready(s3_endpoint: str) -> Iterator[None]:
    """This process may open Spark sessions; the JVM starts with the first one and stays for all of them."""
    if not any(JARS.glob("hadoop-aws-*.jar")):
        pytest.skip("the S3A jars are not there: make jars")
    settings = {**S3A, "spark.hadoop.fs.s3a.endpoint": s3_endpoint, "spark.master": "local[2]"}
    flags = " ".join(f'--conf "{name}={value}"' for name, value in settings.items())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "SPARK_HOME": str(SPARK_HOME),
            "PYSPARK_PYTHON": str(SPARK_PYTHON),
            "PYSPARK_SUBMIT_ARGS": f"{flags} pyspark-shell",
            "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins"), os.environ.get("PYTHONPATH", "")]),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "eu-west-1",
        }.items():
            patch.setenv(name, value)
        yield
    gateway = SparkContext._gateway
    if gateway is not None:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(timeout=30)
        SparkContext._gateway = None
        SparkContext._jvm = None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Py4J leaves the sockets of its connections to the garbage collector; nothing of ours can close them."""
    leak = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if item.get_closest_marker("spark") and "tests/spark_jobs" in item.path.as_posix():
            item.add_marker(leak)

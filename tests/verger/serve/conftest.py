"""Airflow's real API server with the plugin, a database with runs of each kind, and S3 on this machine."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_s3 import S3Client
from verger.storage.layout import BucketLayout, RunLayout

from tests.verger.serve.make_runs import RUNS
from tools.local_run import airflow_services, processes
from tools.local_run.airflow_home import AirflowHome

BUCKET = "fruits-tab"
PASSWORDS = {"looker": "a-password-for-tests", "boss": "another-password-for-tests"}
_HERE = Path(__file__).parent
_READY_SECONDS = 300


@dataclass(frozen=True)
class Site:
    """A running Airflow: its address, the run ids by kind of run, and the token of a login."""

    url: str
    runs: dict[str, str]
    token: str
    s3: S3Client

    def results(self, kind: str = "published") -> RunLayout:
        """Where that run's results are."""
        return RunLayout(BucketLayout(BUCKET), self.runs[kind])

    def address(self, path: str = "", kind: str = "published") -> str:
        """The address of a file of that run, as Airflow's page writes it."""
        return f"{self.url}/results/runs/{RUNS[kind][0]}/{self.runs[kind]}/{path}"

    def put(self, name: str, content: bytes, content_type: str = "binary/octet-stream") -> None:
        """Put a file among the published results."""
        key = self.results().result_file(name).key
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content, ContentType=content_type)


class S3Server:
    """S3 on a port that stays; what it holds outlives a stop, since moto keeps it in this process."""

    def __init__(self) -> None:
        self._port = airflow_services.free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Answer."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.stop()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server that can be stopped."""
    server = S3Server()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def site(s3_server: S3Server, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Airflow with runs that have ended, or not, in every way."""
    folder = tmp_path_factory.mktemp("site")
    s3 = boto3.client(
        "s3",
        endpoint_url=s3_server.url,
        region_name="eu-west-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 -- moto takes anything
    )
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    home = AirflowHome(folder / "airflow", project, Path(sys.executable))
    port = airflow_services.free_port()
    environment = {**_outer_environment(), **home.environment(), **_settings(folder, port, s3_server.url)}
    home.home.mkdir()
    made = subprocess.run(
        [sys.executable, "-m", "tests.verger.serve.make_runs"], env=environment, capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()[-4000:]
    command = [sys.executable, "-m", "airflow", "api-server", "--apps", "core"]
    server = processes.start("Airflow's api-server", command, environment, folder / "api-server.log")
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, server)
        yield Site(url, json.loads(made.stdout), log_in(url, "looker"), s3)
    finally:
        server.stop()


def log_in(url: str, user: str) -> str:
    """The token of a login."""
    answer = httpx.post(f"{url}/auth/token", json={"username": user, "password": PASSWORDS[user]})
    return str(answer.raise_for_status().json()["access_token"])


def _outer_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "VERGER_"))}


def _settings(folder: Path, port: int, s3_endpoint: str) -> dict[str, str]:
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    return {
        "AIRFLOW__CORE__DAGS_FOLDER": str(_HERE / "dags"),
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.verger.serve.secretive_login.SecretiveAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "looker:viewer,boss:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": "a-key-for-tests-that-is-long-enough-to-be-taken",
        "AIRFLOW__API_AUTH__JWT_SECRET": "a-secret-for-tests-that-is-long-enough-to-be-taken-as-one-by-airflow",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }


def _wait(url: str, server: processes.Server) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        try:
            httpx.get(f"{url}/api/v2/version", timeout=5)
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the API server is not ready:\n{server.log.read_text(errors='replace')[-4000:]}")

"""What the measurements run on: an S3 server on a folder, the same behind a slow network, and Spark of this machine."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config

from local_emr import LocalEmrSettings, spark_home_of
from local_emr.environment import local_spark
from tools.benchmarks.measured_process import Measured, descendants, run_measured
from tools.local_run import processes, s3_server
from tools.local_run.emr_server import QUICK_START

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

REGION: Literal["eu-west-1"] = "eu-west-1"
BUCKET = "verger-bench"
LATENCY_MILLISECONDS = 30
LISTENING = re.compile(r"^listening on (\d+)$", re.MULTILINE)
READY_SECONDS = 30.0


@dataclass(frozen=True)
class BenchStack:
    """The running servers.

    Attributes:
        project: Verger's folder.
        work: a folder for this run alone.
        fast, slow: addresses of the S3 server, directly and with LATENCY_MILLISECONDS before each answer.
        server_pids: the processes of the S3 server.
    """

    project: Path
    work: Path
    fast: str
    slow: str
    access_key: str
    secret_key: str = field(repr=False)
    server_pids: frozenset[int]

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self.work / "logs"

    def python(self, environment: str) -> Path:
        """The Python of one of the environments."""
        return self.project / ".venv" / environment / "bin" / "python"

    def environment(self, endpoint: str) -> dict[str, str]:
        """The environment of a program that uses S3."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME", "TMPDIR") if name in os.environ}
        return kept | {
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": f"{self.project}:{self.project / 'plugins'}",
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def s3(self) -> S3Client:
        """A client of the S3 server."""
        return boto3.client(
            "s3",
            endpoint_url=self.fast,
            region_name=REGION,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, max_pool_connections=16, proxies={}),
        )

    def submit(
        self,
        name: str,
        program: Sequence[str],
        *,
        environment: str = "spark",
        cores: int,
        endpoint: str = "",
        quick_start: bool = True,
        master: str = "",
    ) -> Measured:
        """Run spark-submit as the local EMR does. `quick_start` is off for what works in the JVM itself."""
        endpoint = endpoint or self.fast
        python = self.python(environment)
        home = spark_home_of(python)
        settings = LocalEmrSettings(
            work_dir=self.work,
            spark_home=home,
            jars_dir=self.project / ".cache" / "jars" / "s3a",
            cores=cores,
            region=REGION,
        )
        spark = local_spark(settings, endpoint)
        if spark is None:
            raise TypeError("a Spark home was given, and yet there is no Spark")
        conf = dict(spark.conf) | {"spark.driver.extraClassPath": ":".join(spark.class_path)}
        if quick_start:
            conf["spark.driver.extraJavaOptions"] = QUICK_START
        options = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
        command = [
            str(spark.submit),
            "--master",
            master or f"local[{cores}]",
            "--driver-memory",
            f"{spark.memory_mib}m",
        ]
        variables = {
            "SPARK_HOME": str(home),
            "PYSPARK_PYTHON": str(python),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.work / "spark"),
        }
        return run_measured(
            name, [*command, *options, *program], self.environment(endpoint) | variables, self.logs / f"{name}.log"
        )


@contextlib.contextmanager
def running(project: Path, work: Path) -> Iterator[BenchStack]:
    """Starts the servers and makes the bucket; stops them at the end. Raises processes.ServerError."""
    settings = s3_server.S3Settings(
        data=work / "s3",
        work=work / "s3proxy",
        log=work / "logs" / "s3.log",
        jars=project / ".cache" / "jars" / "s3proxy",
    )
    before = descendants(os.getpid())
    with s3_server.running(settings) as s3:
        pids = descendants(os.getpid()) - before
        with _slow(project, work, s3.url) as slow:
            stack = BenchStack(project, work, s3.url, slow, s3.access_key, s3.secret_key, frozenset(pids))
            stack.s3().create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
            yield stack


@contextlib.contextmanager
def _slow(project: Path, work: Path, url: str) -> Iterator[str]:
    """The proxy in front of the server."""
    target = url.rpartition("/")[2]
    command = [sys.executable, "-m", "tools.benchmarks.slow_proxy", "--to", target]
    command += ["--milliseconds", str(LATENCY_MILLISECONDS)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(project)}
    proxy = processes.start("the slow proxy", command, environment, work / "logs" / "proxy.log")
    try:
        yield f"http://127.0.0.1:{proxy.wait_until(_port, READY_SECONDS)}"
    finally:
        proxy.stop()


def _port(log: str) -> int | None:
    match = LISTENING.search(log)
    return int(match.group(1)) if match else None

"""An AWS account of this machine: moto in a process of its own, and what the template makes in it."""

import ast
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.infra.template import TEMPLATE_FILE

_START_SECONDS = 300


def parse_object(text: str) -> dict[str, Any]:
    """An object of a stack as moto gives it back: as Python writes it, where AWS gives JSON."""
    found: dict[str, Any] = ast.literal_eval(text)
    return found


@dataclass(frozen=True)
class Account:
    """An account; `client` speaks to it."""

    endpoint: str
    access_key: str = "testing"  # moto accepts any
    secret_key: str = "testing"  # noqa: S105 -- the same

    def client(self, service: str, region: str = "eu-west-1") -> Any:
        """A client of a service; which one is known at run time only."""
        make: Any = boto3.client
        client = make(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"total_max_attempts": 1}),
        )
        if service == "emr":
            # moto goes by the address, and not by the signature, to know the region of EMR's requests.
            host = f"elasticmapreduce.{region}.amazonaws.com"
            client.meta.events.register(
                "before-sign.emr", lambda request, **_: request.headers.add_header("Host", host)
            )
        return client

    def deploy(self, region: str = "eu-west-1", **parameters: str) -> None:
        """Make the stack `verger`."""
        self.client("cloudformation", region).create_stack(
            StackName="verger",
            TemplateBody=TEMPLATE_FILE.read_text(encoding="utf-8"),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )

    def outputs(self) -> list[dict[str, str]]:
        """The stack's outputs: OutputKey, OutputValue and Description."""
        found: list[dict[str, str]] = self.client("cloudformation").describe_stacks(StackName="verger")["Stacks"][0][
            "Outputs"
        ]
        return found

    def output(self, key: str) -> str:
        """The value of one output."""
        return {found["OutputKey"]: found["OutputValue"] for found in self.outputs()}[key]

    def resource(self, name: str) -> str:
        """The physical id of a resource, by its logical name."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName="verger")
        found = {entry["LogicalResourceId"]: entry for page in pages for entry in page["StackResourceSummaries"]}
        return str(found[name]["PhysicalResourceId"])


@contextlib.contextmanager
def running(log: Path) -> Iterator[Account]:
    """An empty account, for as long as the context is open.

    A process of its own, since moto warns of each type of resource that it cannot make, and warnings are errors here.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    try:
        _wait_for(port, process, log)
        yield Account(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"moto did not answer on port {port}: {log.read_text(errors='replace')[-2000:]}")

"""The local EMR as a process beside us: `python -m local_emr` of its own environment."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.local_run import class_archive, processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tools.local_run.s3_server import S3Endpoint

READY_SECONDS = 60.0
ANNOUNCEMENT = re.compile(r"^local EMR and S3: (http://127\.0\.0\.1:\d+)$", re.MULTILINE)
#: Spark's JVM lives for seconds here: without the second compiler a step takes 7.5 instead of 12.5 s of CPU to start,
#: and the work itself is done in Python.
QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: What a node must know to install packages as this machine does: a proxy, certificates, pip's own settings.
INSTALL_VARIABLES = re.compile(r"PIP_.*|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY", re.IGNORECASE)
#: What tells libraries to use fewer instructions than the processor has (docs/processors.md).
INSTRUCTION_VARIABLES = re.compile(
    "NPY_DISABLE_CPU_FEATURES|OPENBLAS_CORETYPE|ONEDNN_MAX_CPU_ISA|ARROW_USER_SIMD_LEVEL|FAISS_OPT_LEVEL|GLIBC_TUNABLES"
)


@dataclass(frozen=True)
class EmrSettings:
    """What the local EMR runs on.

    Attributes:
        project: Verger's folder.
        environments: the folder of the Python environments: `local_emr` runs it, `spark` gives it Spark.
        work: a folder for what belongs to one cluster; emptied at each start.
        node_root: the folder that plays the nodes' root directory, kept between clusters.
        log: its log.
        cores: task slots of a Spark step.
        on_yarn: whether clusters have a real YARN.
        region: the region that it says it is.
        idle_time_scale: seconds that a second of an idle time-out, or of a node's own clock, takes.
    """

    project: Path
    environments: Path
    work: Path
    node_root: Path
    log: Path
    cores: int
    on_yarn: bool
    region: str
    idle_time_scale: float = 1.0


def command(settings: EmrSettings, s3: S3Endpoint, variables: Mapping[str, str]) -> list[str]:
    """The command line of the server; `variables` are those that it passes on to bootstrap actions and steps."""
    options = {
        "--port": "0",
        "--work-dir": str(settings.work),
        "--node-root": str(settings.node_root),
        "--spark-python": str(settings.environments / "spark" / "bin" / "python"),
        "--jars-dir": str(settings.project / ".cache" / "jars" / "s3a"),
        "--cores": str(settings.cores),
        "--log-seconds": "2",
        "--s3-endpoint": s3.url,
        "--spark-conf": f"spark.driver.extraJavaOptions={driver_options(settings.project)}",
        "--region": settings.region,
        "--idle-time-scale": str(settings.idle_time_scale),
    }
    if settings.on_yarn:
        options["--yarn"] = str(settings.project / ".cache" / "jars" / "yarn")
    words = [word for option in options.items() for word in option]
    words += [word for name in sorted(variables) for word in ("--env", name)]
    return [str(settings.environments / "local_emr" / "bin" / "python"), "-m", "local_emr", *words]


def driver_options(project: Path) -> str:
    """The options of a Spark driver's JVM, as Spark splits them at blanks."""
    archive = project / ".cache" / "jars" / "s3a" / class_archive.NAME
    return " ".join([QUICK_START, *map(quoted, class_archive.reading(archive))])


def quoted(option: str) -> str:
    """An option with blanks in it, as Spark's launcher reads it."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def server_environment(settings: EmrSettings, s3: S3Endpoint, environment: Mapping[str, str]) -> dict[str, str]:
    """The server's own environment variables: few, with S3's credentials."""
    kept = {name: environment[name] for name in ("PATH", "HOME", "JAVA_HOME", "TMPDIR") if name in environment}
    return (
        passed_variables(environment)
        | kept
        | {
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(settings.project),
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        }
    )


def passed_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Those that hold on the nodes, too: how packages are installed here, which instructions libraries use."""
    return {
        name: value
        for name, value in environment.items()
        if INSTALL_VARIABLES.fullmatch(name) or INSTRUCTION_VARIABLES.fullmatch(name)
    }


@contextlib.contextmanager
def running(settings: EmrSettings, s3: S3Endpoint) -> Iterator[str]:
    """Runs the server for as long as the context is open; gives its address. Raises ServerError."""
    shutil.rmtree(settings.work, ignore_errors=True)  # of clusters that are gone; their logs are on S3
    settings.node_root.mkdir(parents=True, exist_ok=True)
    passed_on = passed_variables(os.environ)
    server = processes.start(
        "the local EMR",
        command(settings, s3, passed_on),
        server_environment(settings, s3, os.environ),
        settings.log,
    )
    try:
        yield server.wait_until(_address, READY_SECONDS)
    finally:
        server.stop()


def _address(log: str) -> str | None:
    match = ANNOUNCEMENT.search(log)
    return match.group(1) if match else None

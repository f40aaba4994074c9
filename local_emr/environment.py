"""The environment of the processes on a node: built from the settings, never inherited from the server."""

from __future__ import annotations

import os
import re
import shlex
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local_emr.spark_submit import LocalSpark

if TYPE_CHECKING:
    from local_emr.settings import LocalEmrSettings

_SYSTEM_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_ARTEFACT = re.compile(r"-\d[\w.]*\.jar$")  # the version at the end of a jar's name
_SUDO = """#!/bin/sh
# A local node has one user: run the command as it is.
while [ $# -gt 0 ]; do
    case "$1" in
        -u | -g) shift 2 ;;
        --) shift; break ;;
        -*) shift ;;
        *) break ;;
    esac
done
exec env -- "$@"
"""
_SHUTDOWN = """#!/bin/sh
# `shutdown -h +MINUTES` or `now`: this local node goes away then, as a machine does, and nothing else. No other form.
[ "$#" -eq 2 ] && [ "$1" = -h ] || { echo "shutdown: a local node knows -h +MINUTES and -h now" >&2; exit 1; }
case $2 in now) minutes=0 ;; +[0-9]*) minutes=${2#+} ;; *) echo "shutdown: $2 is no time" >&2; exit 1 ;; esac
seconds=$(awk "BEGIN { print $minutes * 60 * ${LOCAL_EMR_TIME_SCALE:-1} }")
(sleep "$seconds"; kill -KILL "$LOCAL_EMR_NODE_PID") </dev/null >/dev/null 2>&1 &
"""


@dataclass(frozen=True)
class Endpoints:
    """Where the processes of a node find AWS: this server, and the S3 beside it (or in it)."""

    aws: str
    s3: str


def node_environment(
    settings: LocalEmrSettings, endpoints: Endpoints, node_root: Path, cluster_id: str
) -> dict[str, str]:
    """The variables of every bootstrap action and step."""
    path = [str(node_root / "bin")]
    variables = {
        "HOME": str(node_root / "home" / "hadoop"),
        "USER": "hadoop",
        "LANG": "C.UTF-8",
        "TMPDIR": str(scratch_folders(node_root, cluster_id)[0]),
        "EMR_CLUSTER_ID": cluster_id,
        "LOCAL_EMR_NODE_ROOT": str(node_root),
        "LOCAL_EMR_TIME_SCALE": str(settings.idle_time_scale),
        "AWS_ACCESS_KEY_ID": settings.access_key,
        "AWS_SECRET_ACCESS_KEY": settings.secret_key,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ENDPOINT_URL": endpoints.aws,
        "AWS_ENDPOINT_URL_S3": endpoints.s3,
        "AWS_ALLOW_HTTP": "true",  # obstore and other users of Rust's object_store
        "AWS_EC2_METADATA_DISABLED": "true",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(scratch_folders(node_root, cluster_id)[1]),
    }
    if settings.java_home is not None:
        variables["JAVA_HOME"] = str(settings.java_home)
        path.append(str(settings.java_home / "bin"))
    if settings.spark_home is not None:
        variables["SPARK_HOME"] = str(settings.spark_home)
    if settings.spark_python is not None:
        variables["PYSPARK_PYTHON"] = str(settings.spark_python)
    variables["PATH"] = os.pathsep.join([*path, *_SYSTEM_PATH])
    return _past_proxies(variables | dict(settings.extra_env), endpoints)


def _past_proxies(variables: dict[str, str], endpoints: Endpoints) -> dict[str, str]:
    """A proxy that installs packages must not be asked for the servers beside this one."""
    hosts = {urlsplit(address).hostname for address in (endpoints.aws, endpoints.s3)} | {"127.0.0.1", "localhost"}
    for name in ("NO_PROXY", "no_proxy"):
        variables[name] = ",".join(filter(None, [variables.get(name), *sorted(filter(None, hosts))]))
    return variables


def local_spark(settings: LocalEmrSettings, s3_endpoint: str) -> LocalSpark | None:
    """Spark as it runs here, reading s3:// through S3A; none where there is no Spark.

    The S3A properties are those that a server other than AWS needs (Hadoop: "Working with third-party S3 stores").
    """
    if settings.spark_home is None:
        return None
    conf = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.endpoint": s3_endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": settings.region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(s3_endpoint.startswith("https:")).lower(),
    }
    return LocalSpark(
        submit=settings.spark_home / "bin" / "spark-submit",
        cores=settings.cores,
        memory_mib=settings.memory_mib,
        class_path=_class_path(settings.jars_dir, settings.spark_home / "jars") if settings.jars_dir else (),
        conf=conf | dict(settings.spark_conf),
        on_yarn=settings.yarn_jars_dir is not None,
    )


def _class_path(folder: Path, sparks_own: Path) -> tuple[str, ...]:
    """The jars of the folder but for those that Spark has in a version of its own, which must win."""
    own = {_ARTEFACT.sub("", jar.name) for jar in sparks_own.glob("*.jar")}
    return tuple(str(jar) for jar in sorted(folder.glob("*.jar")) if _ARTEFACT.sub("", jar.name) not in own)


def scratch_folders(node_root: Path, cluster_id: str) -> tuple[Path, Path]:
    """Where one cluster's processes, and its Spark, put what nobody needs afterwards."""
    return node_root / "mnt" / "tmp" / cluster_id, node_root / "mnt" / "spark" / cluster_id


def furnish_node(root: Path, cluster_id: str) -> None:
    """Make the folders and programs that scripts expect on an EMR node; what is there already stays."""
    kept = [root / folder for folder in ("bin", "home/hadoop", "opt", "mnt/var/lib/info")]
    for folder in (*kept, *scratch_folders(root, cluster_id)):
        folder.mkdir(parents=True, exist_ok=True)
    # An EMR node has the AWS CLI and the Python versions of its release; here they are this server's own. The programs
    # are scripts, not links: a virtual environment made by a linked Python may not find its library.
    python = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    aws = Path(sys.prefix) / "bin" / "aws"
    programs = {"sudo": _SUDO, "shutdown": _SHUTDOWN, "python3": _passed_on(python), python.name: _passed_on(python)}
    for name, script in (programs | ({"aws": _passed_on(aws)} if aws.exists() else {})).items():
        _write_program(root / "bin" / name, script)


def _passed_on(program: Path) -> str:
    return f'#!/bin/sh\nexec {shlex.quote(str(program))} "$@"\n'


def _write_program(path: Path, script: str) -> None:
    """Write it unless it is there: on a kept node another cluster may be running it."""
    if not path.is_symlink() and path.exists() and path.read_text() == script:
        return
    new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    new.write_text(script)
    new.chmod(0o755)
    new.replace(path)

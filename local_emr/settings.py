"""What a local EMR is told: one frozen, checked record."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_emr.host_names import checked_host

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PATHS = ("work_dir", "node_root", "spark_home", "spark_python", "java_home", "jars_dir", "yarn_jars_dir")


@dataclass(frozen=True)
class LocalEmrSettings:
    """How a local EMR runs.

    Attributes:
        work_dir: Holds the nodes' folders and the logs before they are stored.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        node_root: The folder that plays the root directory of every node and is kept between clusters, so that what a
            bootstrap action installed is still there; none gives each cluster a new one below `work_dir`.
        spark_home: Spark's own folder (`.../site-packages/pyspark`); none refuses spark-submit steps.
        spark_python: The Python of steps that name none.
        java_home: Java 17; none uses the `java` on the standard path.
        jars_dir: A folder of jars that every Spark step gets (S3A).
        yarn_jars_dir: A folder of YARN's jars: each cluster has a real YARN with a node for each of its machines, and
            steps go to it with the arguments that they have; none runs them as `local[cores]`.
        spark_conf: Spark properties that override those of the steps; under YARN they are defaults beneath those of the
            cluster and its steps.
        cores: Task slots of a Spark step.
        memory_mib: Upper bound of a Spark step's heap.
        provision_seconds: How long a cluster is STARTING.
        terminate_seconds: How long a cluster without processes is TERMINATING.
        log_seconds: The time between two uploads of a running step's logs.
        grace_seconds: The time between SIGTERM and SIGKILL when a cluster ends.
        idle_time_scale: Real seconds per second of an auto-termination policy, and of a node's `shutdown`.
        s3_endpoint: The S3 that scripts come from, logs go to and steps use; none is this server's own.
        access_key: The access key for that S3, and the one that this server's own clients must have.
        secret_key: Its secret; none that is known makes a new one.
        allow_hosts: Names of this server beside `host` and those of this machine; requests for others are refused.
        region: The region of requests that name none, and of the steps.
        extra_env: Further variables for bootstrap actions and steps.
    """

    work_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    node_root: Path | None = None
    spark_home: Path | None = None
    spark_python: Path | None = None
    java_home: Path | None = None
    jars_dir: Path | None = None
    yarn_jars_dir: Path | None = None
    spark_conf: Mapping[str, str] = field(default_factory=dict)
    cores: int = 2
    memory_mib: int = 2048
    provision_seconds: float = 0.2
    terminate_seconds: float = 0.1
    log_seconds: float = 5.0
    grace_seconds: float = 5.0
    idle_time_scale: float = 1.0
    s3_endpoint: str | None = None
    access_key: str = "local"
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    allow_hosts: Sequence[str] = ()
    region: str = "eu-west-1"
    extra_env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot work, before anything is started."""
        if not 0 <= self.port <= 65535:  # noqa: PLR2004 - the range of TCP ports
            raise ValueError(f"port={self.port} is not between 0 and 65535")
        for name in ("cores", "memory_mib", "log_seconds", "idle_time_scale"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be greater than 0")
        for name in ("provision_seconds", "terminate_seconds", "grace_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        for name in ("spark_home", "spark_python", "java_home", "jars_dir", "yarn_jars_dir"):
            path = getattr(self, name)
            if path is not None and not path.exists():
                raise ValueError(f"{name}={str(path)!r} does not exist")
        if self.yarn_jars_dir is not None and self.spark_home is None:
            raise ValueError("a real YARN needs Spark, whose jars hold Hadoop's client: name a spark_python as well")
        if self.s3_endpoint is not None and not self.s3_endpoint.startswith(("http://", "https://")):
            raise ValueError(f"s3_endpoint={self.s3_endpoint!r} is not an http address")
        self._check_access()
        self._make_paths_absolute()

    def _make_paths_absolute(self) -> None:
        for name in _PATHS:
            path = getattr(self, name)
            # abspath, not resolve: the python of a virtual environment is a link that must stay one.
            object.__setattr__(self, name, None if path is None else Path(os.path.abspath(path)))  # noqa: PTH100

    def _check_access(self) -> None:
        if not (self.access_key and self.secret_key):
            raise ValueError("access_key and secret_key must not be empty: who has them runs programs here")
        object.__setattr__(self, "allow_hosts", tuple(checked_host(host) for host in self.allow_hosts))

    def to_json(self) -> str:
        """The settings as text, for a child process."""
        return json.dumps({name: _plain(value) for name, value in asdict(self).items()})

    @classmethod
    def from_json(cls, text: str) -> LocalEmrSettings:
        """The settings that `to_json` wrote; ValueError for anything unknown."""
        values: dict[str, Any] = json.loads(text)
        unknown = values.keys() - {known.name for known in fields(cls)}
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
        return cls(**{name: _typed(name, value) for name, value in values.items()})


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _typed(name: str, value: Any) -> Any:  # noqa: ANN401 - a value of any of the settings
    return Path(value) if name in _PATHS and value is not None else value


def spark_home_of(python: Path) -> Path:
    """The folder of the pyspark package that this Python imports, found without starting it.

    Raises:
        ValueError: Its environment has no pyspark.
    """
    library = Path(os.path.abspath(python)).parent.parent / "lib"  # noqa: PTH100 - as above
    found = sorted(library.glob("python3*/site-packages/pyspark"))
    if not found:
        raise ValueError(f"{str(python)!r} belongs to no environment with pyspark")
    return found[0]

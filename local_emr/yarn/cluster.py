"""The YARN of one cluster: its ResourceManager and the NodeManagers of its core and task nodes."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from local_emr.instance_types import instance_type
from local_emr.node import Command, Node, Running
from local_emr.yarn import hadoop_conf
from local_emr.yarn.daemons import ADMINISTRATOR, NODE_MANAGER, RESOURCE_MANAGER, ResourceManagerWeb
from local_emr.yarn.hadoop_conf import YarnNode
from local_emr.yarn.subnet import free_subnet
from local_emr.yarn.yarn_logs import YarnLogs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from local_emr.instance_types import InstanceType
    from local_emr.model import Cluster, Instance
    from local_emr.settings import LocalEmrSettings
    from local_emr.storage import Storage
    from local_emr.yarn.daemons import YarnPrograms

_log = logging.getLogger(__name__)
_READY_SECONDS = 180.0  # on a loaded machine a JVM may take a minute to start
_POLL_SECONDS = 0.1
_LABELS = "yarn.node-labels.enabled"
#: AWS: "Spot Instance interruption notices" come two minutes before.
SPOT_NOTICE_SECONDS = 120.0


class YarnError(RuntimeError):
    """YARN did not start, or did not take a node in; the message says what its log says."""


class Environments(Protocol):
    """What the processes of a node get as their environment."""

    def __call__(self, root: Path) -> dict[str, str]:
        """The variables of a node with this root directory."""


@dataclass
class _Member:
    instance: Instance
    node: Node
    address: str
    daemon: Running | None = None


class YarnCluster:
    """Starts YARN's daemons on the nodes that it is given, and stores their logs; safe to share between threads."""

    def __init__(
        self, cluster: Cluster, settings: LocalEmrSettings, programs: YarnPrograms, s3_endpoint: str, storage: Storage
    ) -> None:
        """Start nothing yet.

        Raises:
            UnknownInstanceTypeError: A node has a type whose memory for YARN is not known.
            NoSubnetError: There are no addresses.
        """
        self._settings = settings
        self._programs = programs
        self._s3_endpoint = s3_endpoint
        self._folder = settings.work_dir / "clusters" / cluster.cluster_id / "yarn"
        self._configurations = cluster.request.get("Configurations") or []
        for instance in cluster.instances:  # refused before anything is started
            instance_type(instance.instance_type)
        self._primary_type = instance_type(cluster.primary.instance_type)
        self._primary_id = cluster.primary.ec2_instance_id
        self.subnet = free_subnet()
        self._web = ResourceManagerWeb(self.subnet.primary)
        self._logs = YarnLogs(None if cluster.log_uri is None else f"{cluster.log_uri}/{cluster.cluster_id}", storage)
        self._lock = threading.RLock()
        self._members: dict[str, _Member] = {}
        self._numbers = 0
        self._primary: Node | None = None
        self._environments: Environments | None = None

    # --- configuration ---------------------------------------------------------------------------------------

    def step_environment(self, class_path: Sequence[str]) -> dict[str, str]:
        """What a step's environment has beside its node's: where Spark and Hadoop find their configuration.

        `class_path` are jars that Spark has on an EMR node and not here; driver and executors get them.
        """
        spark_env = hadoop_conf.exports_of(self._configurations, "spark-env")
        return {
            "HADOOP_CONF_DIR": str(self._folder / "primary"),
            "YARN_CONF_DIR": str(self._folder / "primary"),
            "SPARK_CONF_DIR": str(self._folder / "spark"),
            "SPARK_LOCAL_IP": self.subnet.primary,
            "SPARK_LOCAL_HOSTNAME": self.subnet.primary,
            "SPARK_DIST_CLASSPATH": ":".join(class_path),
            **spark_env,
        }

    def _write_conf(self, folder: Path, root: Path, kind: InstanceType, places: Mapping[str, str]) -> None:
        """Hadoop's files for one node: EMR's defaults, the cluster's own settings, this machine's places."""
        folder.mkdir(parents=True, exist_ok=True)
        settings, primary = self._settings, self.subnet.primary
        passed_on = tuple(settings.extra_env)
        yarn = hadoop_conf.yarn_site(
            primary, self._primary_type, self._folder / "primary", settings.idle_time_scale, passed_on
        )
        defaults = {
            "core-site": hadoop_conf.core_site(self._s3_endpoint, settings.region, root / "mnt" / "tmp" / "hadoop"),
            "yarn-site": {**yarn, **hadoop_conf.resources(kind)},
            "capacity-scheduler": hadoop_conf.capacity_scheduler(labels=self._has_labels),
        }
        for name, properties in defaults.items():
            own = hadoop_conf.merged(properties, self._own(name), root)
            content = {**own, **places} if name == "yarn-site" else own
            (folder / f"{name}.xml").write_text(hadoop_conf.hadoop_xml(content), "utf-8")
        (folder / "log4j2.properties").write_text(hadoop_conf.LOG4J, "utf-8")
        (folder / "exclude").touch()

    def _write_spark_conf(self, root: Path) -> None:
        folder = self._folder / "spark"
        folder.mkdir(parents=True, exist_ok=True)
        staging = root / "mnt" / "tmp" / "spark-staging"
        spark_home = self._settings.spark_home
        if spark_home is None:
            raise YarnError("a local EMR with YARN needs Spark, whose jars hold Hadoop's client")
        defaults = hadoop_conf.spark_defaults(spark_home, staging, self._s3_endpoint, self._settings.spark_conf)
        label = hadoop_conf.master_label(self._own("yarn-site")) if self._has_labels else {}
        properties = hadoop_conf.merged({**defaults, **label}, self._own("spark-defaults"), root)
        (folder / "spark-defaults.conf").write_text(hadoop_conf.spark_conf(properties), "utf-8")

    def _own(self, classification: str) -> dict[str, str]:
        return hadoop_conf.properties_of(self._configurations, classification)

    @property
    def _has_labels(self) -> bool:
        return self._own("yarn-site").get(_LABELS) == "true"

    # --- daemons ---------------------------------------------------------------------------------------------

    def start(self, primary: Node, environments: Environments) -> None:
        """Start the ResourceManager on the primary node.

        Raises:
            YarnError: It does not answer in time.
        """
        self._primary, self._environments = primary, environments
        if ignored := hadoop_conf.without_effect(self._configurations):
            _log.warning("these configurations have no effect on a local cluster: %s", ", ".join(ignored))
        self._write_conf(self._folder / "primary", primary.root, self._primary_type, {})
        self._write_spark_conf(primary.root)
        running = self._run(primary, "resourcemanager", RESOURCE_MANAGER, self._folder / "primary", self._primary_log)
        self._await(self._web.is_up, running, "the ResourceManager", self._primary_log)
        if self._has_labels:
            self._administer("add-labels", "-addToClusterNodeLabels", "CORE(exclusive=false)")

    def join(self, instance: Instance, node: Node) -> str:
        """Start a NodeManager on a node and wait until the ResourceManager has taken it in; the node's address.

        Raises:
            YarnError: It does not come up in time.
        """
        with self._lock:
            self._numbers += 1
            member = _Member(instance, node, self.subnet.worker(self._numbers))
            self._members[instance.instance_id] = member
        kind = instance_type(instance.instance_type)
        folder = self._folder / instance.instance_id
        places = hadoop_conf.places(YarnNode(member.address, node.root), instance.role, labels=self._has_labels)
        self._write_conf(folder, node.root, kind, places)
        log = self._log_of(instance)
        member.daemon = self._run(node, "nodemanager", NODE_MANAGER, folder, log)
        name = f"the NodeManager of {instance.ec2_instance_id}"
        self._await(lambda: self._web.node_states().get(member.address) == "RUNNING", member.daemon, name, log)
        return member.address

    def leave(self, instance_id: str) -> None:
        """Forget a node that is gone, its last logs stored."""
        with self._lock:
            member = self._members.pop(instance_id, None)
        if member is not None:
            self._store_logs_of(member)

    def decommission(self, instance_id: str) -> None:
        """Have the ResourceManager give a node no more containers, as EMR does when EC2 announces a Spot interruption.

        Its running containers go on until the node is gone or `SPOT_NOTICE_SECONDS` (scaled) have passed.
        """
        with self._lock:
            member = self._members.get(instance_id)
            if member is None:
                return
            exclude = self._folder / "primary" / "exclude"
            exclude.write_text(exclude.read_text() + f"{member.address}\n")
        notice = max(1, round(SPOT_NOTICE_SECONDS * self._settings.idle_time_scale))
        self._administer("decommission", "-refreshNodes", "-g", str(notice), "-server")

    def store_logs(self) -> None:
        """Store what has grown of every daemon's and container's log."""
        with self._lock:
            for member in list(self._members.values()):
                self._store_logs_of(member)
            self._logs.store_daemon(self._primary_log, self._primary_id)

    def _store_logs_of(self, member: _Member) -> None:
        with self._lock:
            self._logs.store_containers(member.node.root)
            self._logs.store_daemon(self._log_of(member.instance), member.instance.ec2_instance_id)

    @property
    def _primary_log(self) -> Path:
        return self._folder / "logs" / "hadoop-yarn-resourcemanager.log"

    def _log_of(self, instance: Instance) -> Path:
        return self._folder / "logs" / instance.instance_id / "hadoop-yarn-nodemanager.log"

    def _administer(self, name: str, *arguments: str) -> None:
        """Run YARN's administration command on the primary node; raises YarnError when it fails."""
        if self._primary is None:
            raise YarnError("YARN was not started")
        log = self._folder / "logs" / f"{name}.log"
        running = self._run(self._primary, name, ADMINISTRATOR, self._folder / "primary", log, *arguments)
        if running.wait(_READY_SECONDS) != 0:
            raise YarnError(f"yarn rmadmin {' '.join(arguments)}: {_last_line(log)}")

    def _run(self, node: Node, name: str, main_class: str, conf: Path, log: Path, *arguments: str) -> Running:
        if self._environments is None:
            raise YarnError("YARN was not started")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        environment = self._environments(node.root)
        # A NodeManager has these for its containers: it passes HADOOP_CONF_DIR on.
        environment |= {"HADOOP_CONF_DIR": str(conf), "YARN_CONF_DIR": str(conf)}
        return node.run(
            Command(
                name=name,
                argv=self._programs.command(main_class, conf, *arguments),
                env=environment,
                cwd=conf,
                stdout=log,
                stderr=log,
                sweep=False,
            )
        )

    def _await(self, is_true: Waited, running: Running, what: str, log: Path) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not is_true():
            if running.wait(_POLL_SECONDS) is not None:
                raise YarnError(f"{what} ended: {_last_line(log)}")
            if time.monotonic() > deadline:
                raise YarnError(f"{what} was not ready within {_READY_SECONDS:.0f} s: {_last_line(log)}")


class Waited(Protocol):
    """Something that is to become true."""

    def __call__(self) -> bool:
        """Whether it is."""


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    complaints = [line for line in lines if " ERROR " in line or " FATAL " in line or line.startswith("Caused by")]
    return (complaints or lines or ["its log is empty"])[-1]

"""The configuration files of a cluster's nodes: EMR's defaults, the cluster's own, and this machine's addresses.

Defaults are those of the EMR release guide ("Task configuration"), and Hadoop's own where that says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from local_emr.node_paths import on_node
from local_emr.node_supervisor import NODE_MARK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from local_emr.instance_types import InstanceType

#: Classifications that have an effect here (EMR release guide, "Configure applications").
KNOWN = frozenset({"spark-defaults", "spark-env", "spark", "yarn-site", "core-site", "capacity-scheduler"})
#: What a container's environment takes from its node: Hadoop's own list, what stands in for the instance metadata and
#: AWS's real addresses, and the mark by which a node's processes are found. A region is not among them: on EMR
#: containers have none either.
_HADOOPS_WHITELIST = ("JAVA_HOME", "HADOOP_CONF_DIR", "PATH", "LANG", "TZ")
STANDS_FOR_AWS = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ALLOW_HTTP",
    "AWS_EC2_METADATA_DISABLED", "NO_PROXY", "no_proxy",
)  # fmt: skip
#: EMR's, on every instance type.
_MINIMUM_ALLOCATION_MIB = 32
#: Hadoop's default: how long a NodeManager may be silent before its node is lost.
_EXPIRY_MS = 600_000
_SHORTEST_EXPIRY_MS = 3_000

LOG4J = """\
rootLogger.level = info
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %p %c{1}: %m%n%ex
"""


@dataclass(frozen=True)
class YarnNode:
    """A core or task node.

    Attributes:
        address: Its own on the loopback network.
        root: Its root directory.
    """

    address: str
    root: Path


def properties_of(configurations: Sequence[Mapping[str, Any]], classification: str) -> dict[str, str]:
    """The properties that a cluster's `Configurations` give a classification; the later wins."""
    found: dict[str, str] = {}
    for configuration in configurations:
        if configuration.get("Classification") == classification:
            found |= configuration.get("Properties") or {}
    return found


def exports_of(configurations: Sequence[Mapping[str, Any]], classification: str) -> dict[str, str]:
    """The variables that the nested classification `export` of an environment's classification sets."""
    nested = [
        inner
        for configuration in configurations
        if configuration.get("Classification") == classification
        for inner in configuration.get("Configurations") or []
    ]
    return properties_of(nested, "export")


def without_effect(configurations: Sequence[Mapping[str, Any]]) -> list[str]:
    """The classifications that nothing here reads."""
    return sorted({str(configuration.get("Classification")) for configuration in configurations} - KNOWN)


def core_site(s3_endpoint: str, region: str, scratch: Path) -> dict[str, str]:
    """`core-site.xml`: s3:// is S3A, as on EMR; in place of HDFS there is this machine's disk."""
    return {
        "fs.defaultFS": "file:///",
        "hadoop.tmp.dir": str(scratch),
        "fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "fs.s3a.endpoint": s3_endpoint,
        "fs.s3a.endpoint.region": region,
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": str(s3_endpoint.startswith("https:")).lower(),
    }


def capacity_scheduler(*, labels: bool) -> dict[str, str]:
    """`capacity-scheduler.xml`: one queue, which counts memory alone, as EMR's; with `labels` it may use CORE nodes."""
    queues = ("yarn.scheduler.capacity.root", "yarn.scheduler.capacity.root.default")
    of_labels = {f"{queue}.accessible-node-labels": "*" for queue in queues}
    of_labels |= {f"{queue}.accessible-node-labels.CORE.capacity": "100" for queue in queues}
    return {
        "yarn.scheduler.capacity.root.queues": "default",
        "yarn.scheduler.capacity.root.default.capacity": "100",
        "yarn.scheduler.capacity.resource-calculator": "org.apache.hadoop.yarn.util.resource.DefaultResourceCalculator",
        **(of_labels if labels else {}),
    }


def yarn_site(
    primary: str, kind: InstanceType, conf: Path, time_scale: float, passed_on: Sequence[str]
) -> dict[str, str]:
    """`yarn-site.xml` as every node has it.

    Args:
        primary: The primary node's address.
        kind: Its instance type, which decides the largest container.
        conf: The primary node's configuration folder.
        time_scale: Real seconds per second of YARN's longer time-outs.
        passed_on: Further variables of a node that its containers get.
    """
    return {
        "yarn.resourcemanager.hostname": primary,
        "yarn.resourcemanager.bind-host": primary,
        "yarn.resourcemanager.nodes.exclude-path": str(conf / "exclude"),
        "yarn.scheduler.minimum-allocation-mb": str(_MINIMUM_ALLOCATION_MIB),
        "yarn.scheduler.maximum-allocation-mb": str(kind.yarn_memory_mib),
        "yarn.scheduler.maximum-allocation-vcores": "128",
        "yarn.nm.liveness-monitor.expiry-interval-ms": str(max(_SHORTEST_EXPIRY_MS, int(_EXPIRY_MS * time_scale))),
        "yarn.node-labels.configuration-type": "distributed",
        "yarn.node-labels.fs-store.root-dir": f"file://{conf / 'node-labels'}",
        "yarn.nodemanager.vmem-check-enabled": "false",
        # Enforced by cgroups, which are not here, the NodeManager's own check would rely on them and kill nothing.
        "yarn.nodemanager.resource.memory.enforced": "false",
        "yarn.nodemanager.env-whitelist": ",".join((*_HADOOPS_WHITELIST, *STANDS_FOR_AWS, NODE_MARK, *passed_on)),
        # The copy of a container's launch script among its logs would hold its environment, secrets as well.
        "yarn.nodemanager.log-container-debug-info.enabled": "false",
        # The disk is this machine's, whose fullness is not the cluster's affair.
        "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.5",
    }


def resources(kind: InstanceType) -> dict[str, str]:
    """What `yarn-site.xml` offers to containers on a node of this type."""
    return {
        "yarn.nodemanager.resource.memory-mb": str(kind.yarn_memory_mib),
        "yarn.nodemanager.resource.cpu-vcores": str(kind.vcpus),
    }


def places(node: YarnNode, role: str, *, labels: bool) -> dict[str, str]:
    """The addresses and folders of one core or task node; with `labels` a core node says that it is one."""
    label = {
        "yarn.nodemanager.node-labels.provider": "config",
        "yarn.nodemanager.node-labels.provider.configured-node-partition": "CORE",
    }
    return {
        "yarn.nodemanager.hostname": node.address,
        "yarn.nodemanager.bind-host": node.address,
        "yarn.nodemanager.address": f"{node.address}:8041",
        "yarn.nodemanager.local-dirs": str(node.root / "mnt" / "yarn"),
        "yarn.nodemanager.log-dirs": str(container_logs(node.root)),
        **(label if labels and role == "CORE" else {}),
    }


def container_logs(root: Path) -> Path:
    """Where a node's containers write their logs."""
    return root / "mnt" / "var" / "log" / "hadoop-yarn" / "containers"


def master_label(yarn_site: Mapping[str, str]) -> dict[str, str]:
    """Spark's property for the label that EMR's YARN gives application masters; Hadoop's own has no such default."""
    label = yarn_site.get("yarn.node-labels.am.default-node-label-expression")
    return {"spark.yarn.am.nodeLabelExpression": label} if label else {}


def spark_defaults(spark_home: Path, staging: Path, s3_endpoint: str, own: Mapping[str, str]) -> dict[str, str]:
    """`spark-defaults.conf` beneath the cluster's own: EMR's defaults, and `own` of this machine."""
    return {
        "spark.master": "yarn",
        "spark.submit.deployMode": "client",
        "spark.dynamicAllocation.enabled": "true",
        "spark.ui.enabled": "false",
        # Else 400 MB would be copied for each step: the nodes have Spark's jars already, as on EMR.
        "spark.yarn.jars": f"local:{spark_home}/jars/*",
        "spark.yarn.stagingDir": str(staging),
        # Spark takes AWS_ENDPOINT_URL, which is the server of the other services, over core-site.xml's.
        "spark.hadoop.fs.s3a.endpoint": s3_endpoint,
        **own,
    }


def merged(defaults: Mapping[str, str], own: Mapping[str, str], root: Path) -> dict[str, str]:
    """The defaults under the cluster's own properties, whose paths move below the node's root."""
    return {**defaults, **{name: on_node(value, root) for name, value in own.items()}}


def hadoop_xml(properties: Mapping[str, str]) -> str:
    """A configuration file as Hadoop reads it."""
    rows = (
        f"<property><name>{escape(name)}</name><value>{escape(value)}</value></property>\n"
        for name, value in properties.items()
    )
    return f"<configuration>\n{''.join(rows)}</configuration>\n"


def spark_conf(properties: Mapping[str, str]) -> str:
    """A `spark-defaults.conf`, which is a Java properties file."""
    return "".join(f"{name}={_java_value(value)}\n" for name, value in properties.items())


def _java_value(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")

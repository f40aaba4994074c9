"""YARN's programs as commands of a node: a ResourceManager, NodeManagers, and the administrator's own.

They are Hadoop's, from a folder of jars and from Spark's own: no Hadoop distribution has to be there.
"""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

if TYPE_CHECKING:
    from collections.abc import Mapping

RESOURCE_MANAGER = "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager"
NODE_MANAGER = "org.apache.hadoop.yarn.server.nodemanager.NodeManager"
ADMINISTRATOR = "org.apache.hadoop.yarn.client.cli.RMAdminCLI"
_WEB_PORT = 8088
_ANSWER_SECONDS = 5
_HEAP = "-Xmx256m"
#: Their JVMs live for minutes, and what they do is little.
_QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
#: Hadoop looks into these packages by reflection (HADOOP-17177).
_OPENED = ("java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.util")
#: Of Spark's jars, those that the daemons need: Hadoop's client and logging.
_SPARKS = re.compile(r"(hadoop-client-(api|runtime)|slf4j-api|log4j-\S+|jul-to-slf4j|jcl-over-slf4j)-\d\S*\.jar")


@dataclass(frozen=True)
class YarnPrograms:
    """Where YARN's programs are.

    Attributes:
        java: The `java` that runs them.
        class_path: Their jars.
    """

    java: Path
    class_path: tuple[str, ...]

    @classmethod
    def of(cls, jars_dir: Path, spark_home: Path, java_home: Path | None) -> YarnPrograms:
        """Those of a folder of jars and a Spark."""
        own = sorted(str(jar) for jar in jars_dir.glob("*.jar"))
        sparks = sorted(str(jar) for jar in (spark_home / "jars").glob("*.jar") if _SPARKS.fullmatch(jar.name))
        java = java_home / "bin" / "java" if java_home else Path("/usr/bin/env")
        return cls(java, (*own, *sparks))

    def command(self, main_class: str, conf: Path, *arguments: str) -> tuple[str, ...]:
        """The command line of a program with this configuration folder."""
        words = [str(self.java)] if self.java.name == "java" else [str(self.java), "java"]
        words += [_HEAP, *_QUICK_START, *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENED)]
        return (*words, "-cp", ":".join((str(conf), *self.class_path)), main_class, *arguments)


class ResourceManagerWeb:
    """What a ResourceManager says of itself (Hadoop: "ResourceManager REST API's")."""

    def __init__(self, address: str) -> None:
        """Ask nothing yet."""
        self._root = f"http://{address}:{_WEB_PORT}/ws/v1/cluster"
        # What is on this machine is not asked for through a proxy.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def node_states(self) -> Mapping[str, str]:
        """The state of each registered node by its address; none while the ResourceManager does not answer."""
        try:
            found = self._get("nodes")
        except (URLError, OSError, ValueError):
            return {}
        nodes = found.get("nodes") or []
        return {node["nodeHTTPAddress"].rpartition(":")[0]: node["state"] for node in nodes}

    def is_up(self) -> bool:
        """Whether it answers."""
        try:
            self._get("info")
        except (URLError, OSError, ValueError):
            return False
        return True

    def _get(self, what: str) -> dict[str, Any]:
        with self._opener.open(f"{self._root}/{what}", timeout=_ANSWER_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

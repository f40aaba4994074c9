"""Executors under YARN: waited for with a bound, and no node with room left without one.

YARN keeps a request that fits no node for ever, and EMR counts such a cluster as busy. So a step that gets no executor
in time ends with what it asked for, what YARN has, and what to change.
"""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyspark import SparkConf, SparkContext

from spark_jobs.job_errors import StepFailedError

#: How long a step waits for its application master and its first executor, in seconds.
WAIT = "spark.verger.executorWaitSeconds"
DEFAULT_WAIT_SECONDS = "300"
_POLL_SECONDS = 0.25
#: Spark's own: what it adds to a heap (https://spark.apache.org/docs/latest/running-on-yarn.html).
_LEAST_OVERHEAD_MIB = 384
_OVERHEAD_FACTOR = 0.1


@dataclass(frozen=True)
class YarnNode:
    """A node as the ResourceManager knows it; memory in MiB."""

    address: str
    memory: int
    used_memory: int
    vcores: int


@dataclass(frozen=True)
class Request:
    """What a step asks of YARN; memory in MiB, overhead included."""

    executors: int
    memory: int
    cores: int
    master_memory: int

    def __str__(self) -> str:
        """As a sentence says it."""
        return (
            f"{self.executors} executors of {self.memory} MiB (heap and overhead) and an application master of "
            f"{self.master_memory} MiB"
        )


def request_of(conf: SparkConf) -> Request:
    """What a context with this configuration asks of YARN."""

    def container(heap_key: str, default_heap: str, overhead_key: str) -> int:
        heap = _mib(conf.get(heap_key, default_heap) or default_heap)
        overhead = conf.get(overhead_key, None)
        return heap + (_mib(overhead) if overhead else max(_LEAST_OVERHEAD_MIB, int(heap * _OVERHEAD_FACTOR)))

    return Request(
        executors=int(conf.get("spark.executor.instances", "2") or 2),
        memory=container("spark.executor.memory", "1g", "spark.executor.memoryOverhead"),
        cores=int(conf.get("spark.executor.cores", "1") or 1),
        master_memory=container("spark.yarn.am.memory", "512m", "spark.yarn.am.memoryOverhead"),
    )


def _mib(text: str) -> int:
    """Memory as Spark writes it, in MiB; a bare number is MiB, as for executors."""
    lowered = text.strip().lower().removesuffix("b")
    factors = {"k": 1 / 1024, "m": 1, "g": 1024, "t": 1024 * 1024}
    if lowered[-1:] in factors:
        return int(float(lowered[:-1]) * factors[lowered[-1]])
    return int(lowered)


def room_for_more(nodes: list[YarnNode], request: Request) -> int:
    """How many executors more the nodes can take than run on them now, none on cores that another one uses."""
    return sum(
        max(
            0,
            min(
                (node.memory - node.used_memory) // request.memory,
                node.vcores // request.cores - node.used_memory // request.memory,
            ),
        )
        for node in nodes
    )


def complaint(request: Request, nodes: list[YarnNode], waited: float) -> str:
    """Why no executor came, as far as it can be seen from outside: asked for, there, and what to change."""
    asked = f"No executor has started within {waited:.0f} s. Asked for: {request}. YARN has "
    if not nodes:
        return (
            f"{asked}no node at all: the core and task nodes have not joined. See the cluster's hardware in EMR's "
            "console and logs/<cluster>/node/; run again when they are there"
        )
    kinds = "; ".join(f"{node.address}: {node.memory} MiB, {node.used_memory} used" for node in nodes)
    largest = max(node.memory for node in nodes)
    if request.memory + request.master_memory > largest:
        change = (
            f"lower spark.executor.memory and its memoryOverhead to {max(0, largest - request.master_memory)} MiB "
            "together, or take a larger instance type"
        )
    else:
        change = "something else holds the memory: end it, or raise max_nodes"
    return f"{asked}{len(nodes)} node{'s'[: len(nodes) - 1]} ({kinds}). What to change: {change}"


class Yarn:
    """The ResourceManager, asked through the driver's own JVM."""

    def __init__(self, conf: SparkConf) -> None:
        """Connect; the address is in the node's Hadoop configuration."""
        jvm: Any = SparkContext._jvm  # noqa: SLF001 - the public ways to the JVM start a Spark application
        self._jvm = jvm
        self._gateway: Any = SparkContext._gateway  # noqa: SLF001 - the same
        hadoop = jvm.org.apache.spark.deploy.SparkHadoopUtil.get().newConfiguration(conf._jconf)  # noqa: SLF001
        self._client = jvm.org.apache.hadoop.yarn.client.api.YarnClient.createYarnClient()
        self._client.init(hadoop)
        self._client.start()

    def nodes(self) -> list[YarnNode]:
        """The nodes that take containers."""
        states = self._gateway.new_array(self._jvm.org.apache.hadoop.yarn.api.records.NodeState, 1)
        states[0] = self._jvm.org.apache.hadoop.yarn.api.records.NodeState.RUNNING
        return [
            YarnNode(
                address=report.getNodeId().getHost(),
                memory=report.getCapability().getMemorySize(),
                used_memory=report.getUsed().getMemorySize(),
                vcores=report.getCapability().getVirtualCores(),
            )
            for report in self._client.getNodeReports(states)
        ]

    def containers(self, application_id: str) -> list[dict[str, Any]]:
        """The running containers of an application, its application master's included: `id, host, memory_mib`."""
        application = self._jvm.org.apache.hadoop.yarn.api.records.ApplicationId.fromString(application_id)
        reports = [
            report
            for attempt in self._client.getApplicationAttempts(application)
            for report in self._client.getContainers(attempt.getApplicationAttemptId())
            if report.getContainerState().toString() == "RUNNING"
        ]
        return [
            {
                "id": str(report.getContainerId().toString()),
                "host": str(report.getAssignedNode().getHost()),
                "memory_mib": int(report.getAllocatedResource().getMemorySize()),
            }
            for report in reports
        ]

    def kill(self, tag: str) -> None:
        """End the application that carries a tag."""
        for application in self._client.getApplications():
            if tag in application.getApplicationTags():
                self._client.killApplication(application.getApplicationId())

    def close(self) -> None:
        """Let the connection go."""
        self._client.stop()


@contextmanager
def executors_in_time(conf: SparkConf) -> Iterator[None]:
    """Bound the time in which a SparkContext is made: it waits for its application master without end.

    Does nothing where the master is not YARN.

    Raises:
        StepFailedError: The application master did not start, or YARN refused what was asked for.
    """
    if conf.get("spark.master", "") != "yarn":
        yield
        return
    tag = f"verger-{uuid.uuid4().hex}"
    conf.set("spark.yarn.tags", tag)
    request, yarn, wait = request_of(conf), Yarn(conf), wait_seconds(conf)
    told: list[str] = []

    def give_up() -> None:
        told.append(complaint(request, yarn.nodes(), wait))
        yarn.kill(tag)

    timer = threading.Timer(wait, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        timer.cancel()
        if told:
            raise StepFailedError(told[0]) from error
        if "above the max threshold" in str(error):
            raise StepFailedError(f"YARN refuses an executor: {_sentence(error)} Asked for: {request}") from error
        raise
    finally:
        timer.cancel()
        yarn.close()


def _sentence(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if "above the max threshold" in line]
    return lines[0].rpartition("Exception: ")[2].strip()


def wait_for_executors(context: SparkContext) -> None:
    """Wait until the first executor is there; then have one on each node with room. Does nothing without YARN.

    Raises:
        StepFailedError: None came in time.
    """
    conf = context.getConf()
    if conf.get("spark.master", "") != "yarn":
        return
    request, wait, began = request_of(conf), wait_seconds(conf), time.monotonic()
    while not registered(context):
        if time.monotonic() - began > wait:
            yarn = Yarn(conf)
            told = complaint(request, yarn.nodes(), wait)
            yarn.close()
            context.stop()
            raise StepFailedError(told)
        time.sleep(_POLL_SECONDS)
    print(f"executors: {registered(context)} of {request.executors} are there", flush=True)
    threading.Thread(target=_beside_the_work, args=(context, request, wait), daemon=True).start()


def _beside_the_work(context: SparkContext, request: Request, wait: float) -> None:
    try:
        _see_to_the_others(context, request, wait)
    except Exception as error:  # noqa: BLE001 - the step may have ended meanwhile, and works without this
        print(f"executors: no longer looked after ({type(error).__name__})", flush=True)


def _see_to_the_others(context: SparkContext, request: Request, wait: float) -> None:
    """Say when executors stay away, and ask for more where a fleet drew more than was asked for."""
    began = time.monotonic()
    while registered(context) < request.executors:
        if time.monotonic() - began > wait:
            print(f"WARNING: {registered(context)} of {request.executors} executors after {wait:.0f} s", flush=True)
            return
        time.sleep(1)
        if context._jsc is None:  # noqa: SLF001 - stopped
            return
    yarn = Yarn(context.getConf())
    more = room_for_more(yarn.nodes(), request)
    yarn.close()
    if more:
        print(f"executors: YARN has room for {more} more: asked for", flush=True)
        jvm: Any = context._jvm  # noqa: SLF001 - PySpark does not offer it
        nowhere_preferred = jvm.scala.Predef.Map().empty()
        # Not requestExecutors: without dynamic allocation it does not count those that are there.
        context._jsc.sc().requestTotalExecutors(request.executors + more, 0, nowhere_preferred)  # noqa: SLF001


def registered(context: SparkContext) -> int:
    """How many executors have registered; the driver, which is in the same list, not counted."""
    jsc = context._jsc  # noqa: SLF001 - PySpark does not offer it
    return 0 if jsc is None else int(jsc.sc().getExecutorMemoryStatus().size()) - 1


def wait_seconds(conf: SparkConf) -> float:
    """How long a step waits for its first executor."""
    return float(conf.get(WAIT, DEFAULT_WAIT_SECONDS) or DEFAULT_WAIT_SECONDS)

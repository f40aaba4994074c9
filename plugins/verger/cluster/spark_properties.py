"""Spark's properties of a cluster: executors that all start, and nothing that changes their number or size."""

from collections.abc import Iterator

from verger.cluster.executor_memory import (
    AM_HEAP_MIB,
    AM_OVERHEAD_MIB,
    EXECUTOR_VCPUS,
    executor_mib,
    executors_on,
)
from verger.cluster.shape import ClusterShape
from verger.prices import InstanceType, PriceTable

#: The JVM of an executor hands out tasks, holds a model of 9 MB, and passes the sums of pca on, 16 of 6.6 MB at a time
#: for each core: half a gigabyte at most. The rest is for the Python workers, one a core, which hold the pictures: what
#: they were measured to take is in docs/operations.md ("Executors").
_HEAP_SHARE = 0.25
_SMALLEST_HEAP_MIB = 1536
_LARGEST_HEAP_MIB = 4096


def spark_properties(shape: ClusterShape, prices: PriceTable) -> dict[str, str]:
    """Spark's properties for this cluster (https://spark.apache.org/docs/latest/running-on-yarn.html).

    As many executors as the machines that were asked for take beside the application master. Raises
    UnknownInstanceTypeError.
    """
    types = list(_worker_types(shape, prices))
    each = max(1, min(executors_on(kind) // weight for kind, weight in types))
    primary = prices.instance_type(shape.primary.first_type, shape.region)
    # The ResourceManager refuses a container that is larger than what YARN has on a machine of its own type.
    size_mib = min(executor_mib(types, each), executor_mib([(primary, 1)], 1))
    heap_mib = min(max(int(size_mib * _HEAP_SHARE), _SMALLEST_HEAP_MIB), _LARGEST_HEAP_MIB)
    cores = min(EXECUTOR_VCPUS, *(kind.vcpus for kind, _ in types))
    return {
        "spark.executor.instances": str(each * shape.worker_units),
        "spark.executor.cores": str(cores),
        "spark.executor.memory": f"{heap_mib}m",
        "spark.executor.memoryOverhead": f"{size_mib - heap_mib}m",
        "spark.yarn.am.memory": f"{AM_HEAP_MIB}m",
        "spark.yarn.am.memoryOverhead": f"{AM_OVERHEAD_MIB}m",
        # EMR's Spark would resize executors to fill each node (EMR best practices guide, "Spark"): then they are not
        # the ones that were calculated here.
        "spark.yarn.heterogeneousExecutors.enabled": "false",
        # Executors that come and go would each fetch the model and warm an interpreter again.
        "spark.dynamicAllocation.enabled": "false",
        # The driver runs on the primary node, beside YARN's and HDFS's own servers.
        "spark.driver.memory": f"{primary.memory_gib * 1024 // 4}m",
    }


def _worker_types(shape: ClusterShape, prices: PriceTable) -> Iterator[tuple[InstanceType, int]]:
    for fleet in (shape.core, shape.task):
        for name, weight in fleet.types if fleet else ():
            yield prices.instance_type(name, shape.region), weight

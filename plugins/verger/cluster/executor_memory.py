"""How much memory an executor may take, so that all of them start on every machine that a fleet may draw.

A container that fits no node is a silent wait: YARN keeps the request, and EMR counts the cluster as busy. So sizes
come from what EMR gives YARN on each type (instance_types.toml), less the application master, which may land anywhere.
"""

from collections.abc import Sequence

from verger.prices import InstanceType

#: An executor takes the vCPUs of an xlarge, so that one fits every machine of a diversified fleet.
EXECUTOR_VCPUS = 4
#: In client mode the application master only asks YARN for executors. 512 MiB is Spark's default for its heap, 384 MiB
#: the least that Spark adds to a heap (https://spark.apache.org/docs/latest/running-on-yarn.html, `spark.yarn.am.*`).
AM_HEAP_MIB = 512
AM_OVERHEAD_MIB = 384
#: YARN rounds each container up to a multiple of `yarn.scheduler.minimum-allocation-mb`: 32 on EMR. In multiples of
#: this, a container is what was asked for under any minimum of up to 256.
_ROUNDED_TO_MIB = 256
_AM_CONTAINER_MIB = 1024  # its 896 MiB, rounded likewise


def executors_on(kind: InstanceType) -> int:
    """How many executors a machine's vCPUs are for; at least one."""
    return max(1, kind.vcpus // EXECUTOR_VCPUS)


def executor_mib(types: Sequence[tuple[InstanceType, int]], executors_per_unit: int) -> int:
    """The memory of an executor, heap and all, in MiB: the most of which every type takes its share.

    Args:
        types: The instance types with their weight in units.
        executors_per_unit: How many executors a unit is for; a machine takes them beside the application master.
    """
    rooms = ((kind.yarn_memory_mib - _AM_CONTAINER_MIB) // (executors_per_unit * weight) for kind, weight in types)
    return min(rooms) // _ROUNDED_TO_MIB * _ROUNDED_TO_MIB


def alike(types: Sequence[tuple[InstanceType, int]]) -> list[tuple[InstanceType, int]]:
    """Those of the types that take executors of one size: all of their share, and not one more.

    YARN on EMR counts memory alone: a machine with more memory a vCPU would take more executors than it has cores for,
    and leave another machine idle, which is paid for. The first type stays whatever the others are.
    """
    first, weight_of_first = types[0]
    each = executors_on(first) // weight_of_first
    kept = list(types)
    while len(kept) > 1 and _takes_more(first, weight_of_first, each, executor_mib(kept, each)):
        smallest = min(executor_mib([entry], each) for entry in kept)
        kept = [entry for entry in kept if executor_mib([entry], each) > smallest]
    size = executor_mib(kept, each)
    return [types[0], *(entry for entry in kept if entry != types[0] and not _takes_more(*entry, each, size))]


def _takes_more(kind: InstanceType, weight: int, executors_per_unit: int, size_mib: int) -> bool:
    return kind.yarn_memory_mib // size_mib > executors_per_unit * weight

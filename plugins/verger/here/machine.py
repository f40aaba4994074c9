"""What Airflow's machine can give a run: processors, memory, and the region that it is in."""

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import boto3
from verger_rules.instance_metadata import REGION, ask_instance

from verger.run.deployment import Deployment
from verger.run.eu_guard import EU_REGIONS, LOCAL, OutsideEuError

_CGROUP = Path("/sys/fs/cgroup")
_PROC = Path("/proc")
#: Of the program itself, with the tables of a run of a few images; and of each further one (docs/review.md).
PROGRAM_MIB = 400
PROGRAM_MIB_PER_IMAGE = 1.2e-3
#: Of a worker at least: photographs of 12 megapixels take 344 MiB (docs/benchmarks.md).
WORKER_MIB = 400
#: A task waits for it wherever Airflow is no EC2 instance.
_METADATA_SECONDS = 1.0
#: What a measured worker may take more, the next time.
_HEADROOM = 1.25
#: The one engine whose package is among the nodes'.
ENGINE = "litert"


class PlaceError(ValueError):
    """A run cannot work on this machine; the message says why and what to do."""


@dataclass(frozen=True)
class Machine:
    """Airflow's machine, or the container that Airflow's tasks run in.

    Attributes:
        processors: that its tasks may use.
        free_mib: memory that is not in use, within its limit.
        architecture: as AWS calls it.
    """

    processors: int
    free_mib: int
    architecture: str


def read_machine(cgroup: Path = _CGROUP, proc: Path = _PROC) -> Machine:
    """Ask the system, and the control groups that this process is in (version 2, or 1), each within the next."""
    groups = list(_groups(cgroup, _read(proc / "self/cgroup") or ""))
    limits = [float(len(os.sched_getaffinity(0))), *(limit for group in groups for limit in _processors_of(group))]
    free = [_available_mib(proc / "meminfo"), *(limit for group in groups for limit in _free_mib_of(group))]
    return Machine(max(1, int(min(limits))), int(min(free)), architecture())


def architecture() -> str:
    """This machine's, as AWS calls it."""
    found = platform.machine()
    return "arm64" if found in {"aarch64", "arm64"} else found


def _groups(cgroup: Path, told: str) -> Iterator[Path]:
    """The folders of this process's control groups, up to the root, by the lines of `/proc/self/cgroup`.

    In a container with a name space of its own that is the root; the path of version 1 may be the host's, which is not
    there then, and the root counts as well.
    """
    for line in told.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        roots = [cgroup / name for name in controllers.split(",") if name] or [cgroup]
        for root in roots:
            folder = root / path.lstrip("/")
            yield from (each for each in (folder, *folder.parents) if each.is_relative_to(root) and each.is_dir())


def _processors_of(group: Path) -> list[float]:
    """The quota of a control group, in processors; nothing where it has none.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max), .../scheduler/sched-bwc.html (cpu.cfs_*).
    """
    if (found := _read(group / "cpu.max")) is not None:
        quota, _, period = found.partition(" ")
        return [] if quota == "max" else [int(quota) / int(period)]
    limit, span = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    return [int(limit) / int(span)] if limit and span and int(limit) > 0 else []


def _free_mib_of(group: Path) -> list[float]:
    """What is left of a control group's memory, files that can be read again not counted; nothing without a limit."""
    for limit, used, stat, files in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file"),
    ):
        most, now = _read(group / limit), _read(group / used)
        if most is not None and now is not None:
            if most == "max" or int(most) >= 1 << 60:
                return []
            return [(int(most) - int(now) + _value(_read(group / stat) or "", files)) / 2**20]
    return []


def _available_mib(meminfo: Path) -> float:
    return _value(_read(meminfo) or "", "MemAvailable:") / 1024


def _value(text: str, name: str) -> int:
    return next((int(words[1]) for line in text.splitlines() if (words := line.split()) and words[0] == name), 0)


def _read(path: Path) -> str | None:
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return None


def choose_processes(machine: Machine, most: int, images: int, worker_mib: float) -> int:
    """How many workers fit the machine: one a processor, as far as the memory goes.

    Args:
        machine: where they work.
        most: how many there may be at most; 0 for as many as fit.
        images: that the run lists.
        worker_mib: the most that one took in an earlier run of such images; 0 when none has measured it.

    Raises:
        PlaceError: not one fits.
    """
    # Never less than assumed: an earlier run's pictures may all have been small.
    each = max(WORKER_MIB, worker_mib * _HEADROOM)
    program = PROGRAM_MIB + images * PROGRAM_MIB_PER_IMAGE
    fitting = int((machine.free_mib - program) / each)
    if fitting < 1:
        raise PlaceError(
            f"this machine has {machine.free_mib:,} MiB of memory free, and the program and one worker take "
            f"{program + each:,.0f} MiB: give it more memory"
        )
    return min(machine.processors, fitting, most or machine.processors)


def check_can_work(deployment: Deployment, engine: str, *, is_local: bool) -> str:
    """Check all but the memory that a run needs to work on this machine; returns the region that it is in.

    Raises PlaceError or OutsideEuError.
    """
    if engine != ENGINE:
        raise PlaceError(f"engine is {engine!r}, which is not among the nodes' packages: choose {ENGINE!r}")
    check_node_python(deployment)
    return machine_region(deployment, is_local=is_local)


def check_node_python(deployment: Deployment) -> Path:
    """The Python that has the nodes' packages. Raises PlaceError where there is none."""
    python = deployment.node_python
    if python is None or not python.exists():
        raise PlaceError(
            f"there is no Python with the nodes' packages (VERGER_NODE_PYTHON is {str(python or '')!r}): make an "
            "environment of bootstrap/requirements.txt (`make environments` does), and name its python there"
        )
    return python


def told_region(ask: Callable[[str, float], str]) -> str | None:
    """The region that EC2's metadata tells; None where there is no such service, or one of something else than AWS."""
    try:
        region = ask(REGION, _METADATA_SECONDS)
    except (OSError, ValueError):
        return None
    return region if region in _regions_of_aws() else None


@cache
def _regions_of_aws() -> frozenset[str]:
    """Every region that EC2 has, in all of AWS's partitions."""
    session = boto3.session.Session()
    partitions = session.get_available_partitions()
    return frozenset(name for each in partitions for name in session.get_available_regions("ec2", each))


def machine_region(deployment: Deployment, *, is_local: bool) -> str:
    """Where this machine is: by EC2's metadata, else by VERGER_MACHINE_REGION; LOCAL where the endpoints are.

    Raises:
        PlaceError: nobody tells.
        OutsideEuError: it is not in the EU.
    """
    if is_local:
        return LOCAL
    region = told_region(ask_instance) or deployment.machine_region
    if not region:
        raise PlaceError(
            "nothing tells in which region this machine is, and no picture may leave the EU: it is not an EC2 "
            "instance, so name the AWS region next to it in VERGER_MACHINE_REGION"
        )
    if region not in EU_REGIONS:
        raise OutsideEuError(
            f"this machine is in {region!r}, which is not in the EU: let the cluster compute (compute = cluster), or "
            "run Airflow in one of " + ", ".join(EU_REGIONS)
        )
    return region

"""What EMR gives YARN on a node, by instance type: a table of AWS's own numbers (instance_types.toml)."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE = Path(__file__).parent / "instance_types.toml"


class UnknownInstanceTypeError(ValueError):
    """The table does not have an instance type."""


@dataclass(frozen=True)
class InstanceType:
    """A kind of machine, as YARN sees it.

    Attributes:
        name: EC2's name, `family.size`.
        vcpus: virtual CPUs; EMR offers YARN one vcore for each.
        yarn_memory_mib: what containers may take on a node together, and one of them at most, in MiB.
    """

    name: str
    vcpus: int
    yarn_memory_mib: int


def load_instance_types(path: Path = _TABLE) -> Mapping[str, InstanceType]:
    """The instance types of the table by name; raises KeyError or TOMLDecodeError when somebody broke it."""
    table = tomllib.loads(path.read_text("utf-8"))
    kinds = [
        InstanceType(f"{family}.{size}", table["vcpus"][size], memory_mib)
        for family, sizes in table["yarn_memory_mib"].items()
        for size, memory_mib in sizes.items()
    ]
    return {kind.name: kind for kind in kinds}


@cache
def _known() -> Mapping[str, InstanceType]:
    return load_instance_types()


def instance_type(name: str) -> InstanceType:
    """The instance type of that name; raises UnknownInstanceTypeError for one that the table does not have."""
    found = _known().get(name)
    if found is None:
        raise UnknownInstanceTypeError(
            f"what EMR gives YARN on instance type {name!r} is not known: choose one of {', '.join(_known())}, "
            f"or add it to {_TABLE.name} from AWS's page 'Task configuration'"
        )
    return found

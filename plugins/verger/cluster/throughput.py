"""How fast featurize is, an image a second and vCPU: measured by earlier runs, or assumed until there was one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from verger.cluster.shape import ClusterShape, assumed_rate
from verger.prices import InstanceType, PriceTable

#: Fewer images say more about the start of Spark than about throughput.
_FEWEST_IMAGES = 1000
#: Pictures of another size are other work.
_SIZES_ALIKE = 2.0


@dataclass(frozen=True)
class Measured:
    """A run's throughput, as `cost.json` keeps it.

    Attributes:
        run_id: the run that measured it.
        rate_per_vcpu: images a second and vCPU.
        architecture: of its nodes.
        engine: `litert` or `keras`.
        mean_bytes: the mean size of its pictures.
    """

    run_id: str
    rate_per_vcpu: float
    architecture: str
    engine: str
    mean_bytes: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def measure(
    featurize: Mapping[str, Any] | None, plan: Mapping[str, Any], shape: ClusterShape, prices: PriceTable
) -> Measured | None:
    """What a run measured, from its `featurize.json` and `plan.json`; None when it computed too few images to tell."""
    if featurize is None or featurize["featurized"] < _FEWEST_IMAGES or not featurize["images_per_second"]:
        return None
    kind = prices.instance_type(shape.core.first_type, shape.region)
    return Measured(
        run_id=featurize["run_id"],
        rate_per_vcpu=featurize["images_per_second"] / (kind.vcpus * shape.worker_units),
        architecture=kind.architecture,
        engine=featurize["engine"],
        mean_bytes=mean_bytes(plan),
    )


def mean_bytes(plan: Mapping[str, Any]) -> float:
    """The mean size of the images that a plan has to do."""
    return float(plan["bytes_todo"] / plan["todo"]) if plan["todo"] else 0.0


def sizes_alike(one: float, other: float) -> bool:
    """Whether pictures of these mean sizes are about the same work."""
    return one / _SIZES_ALIKE <= other <= one * _SIZES_ALIKE


def choose_rate(
    measured: Mapping[str, Any] | None, plan: Mapping[str, Any], kind: InstanceType, engine: str
) -> tuple[float, str]:
    """The rate to reckon with, and where it comes from in words."""
    size = mean_bytes(plan)
    if measured is not None and plan["todo"]:
        found = Measured(**measured)
        if sizes_alike(found.mean_bytes, size) and (found.architecture, found.engine) == (kind.architecture, engine):
            return found.rate_per_vcpu, f"measured by run {found.run_id}"
    return assumed_rate(size), f"assumed for pictures of {size / 1000:.0f} KB, since no run has measured it"

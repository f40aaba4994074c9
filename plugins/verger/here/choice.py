"""Which place a run takes: when its matrix is expected from a cluster and from this machine, and for what price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from verger.cluster.shape import assumed_rate
from verger.cluster.throughput import mean_bytes, sizes_alike
from verger.cost.cluster_times import ClusterTimes
from verger.cost.reckoning import Estimate, pca_minutes
from verger.here.machine import Machine
from verger.run.settings import Settings

Where = Literal["here", "cluster"]
#: The program's start, and that of its workers; and a PCA of few images, the results written (`make bench`).
_START_SECONDS = 5.0
_PCA_SECONDS = 3.0
#: Fitting, projecting and writing the matrix by one process (`make scale`: 1,000,000 images).
_PCA_SECONDS_PER_IMAGE = 1.5e-4
#: A chunk is what a run that stops in time may lose.
_CHUNK_SECONDS = 45
#: Fewer images tell too little of the rate.
_LEAST_MEASURED = 100


@dataclass(frozen=True)
class PlaceEstimate:
    """What a place is expected to take.

    Attributes:
        name: of the place, in words.
        start, features, components: minutes; the matrix is there when all are over.
        usd: what it costs in all, a cluster's end and its holding included.
    """

    name: str
    start: float
    features: float
    components: float
    usd: float

    @property
    def ready(self) -> float:
        """Minutes until the matrix is there."""
        return self.start + self.features + self.components


@dataclass(frozen=True)
class HereWork:
    """How a run would work here.

    Attributes:
        processes: its workers.
        rate: images a second of all of them.
        region: where the machine is.
        usd_hour: what the machine costs an hour.
    """

    processes: int
    rate: float
    region: str
    usd_hour: float

    def chunk_images(self, most: int) -> int:
        """Images of a commit: what is done in less than a minute, and one for each process at least."""
        return max(self.processes, min(most, int(self.rate * _CHUNK_SECONDS)))


def estimate_here(work: HereWork, images_todo: int, images: int) -> PlaceEstimate:
    """What this machine is expected to take."""
    start = _START_SECONDS / 60
    features = images_todo / work.rate / 60
    components = (_PCA_SECONDS + images * _PCA_SECONDS_PER_IMAGE) / 60
    usd = (start + features + components) / 60 * work.usd_hour
    name = f"here, {work.processes} process{'es' if work.processes > 1 else ''}"
    return PlaceEstimate(name, start, features, components, usd)


def estimate_cluster(estimate: Estimate, times: ClusterTimes, images: int) -> PlaceEstimate:
    """What the cluster is expected to take, until the matrix."""
    nodes = sum(line.nodes for line in estimate.nodes)
    name = f"cluster, {nodes} nodes"
    return PlaceEstimate(name, times.startup_minutes, estimate.featurize_minutes, pca_minutes(images), estimate.usd)


def choose(
    settings: Settings, here: PlaceEstimate | None, cluster: PlaceEstimate, why_not_here: str
) -> tuple[Where, str]:
    """The place, and why. `why_not_here` says why `here` is None; the settings' own wish is already checked."""
    if settings.compute == "cluster":
        return "cluster", "compute = cluster"
    if here is None:
        return "cluster", f"it cannot run on this machine: {why_not_here}"
    if settings.compute == "here":
        return "here", "compute = here"
    reasons = (
        (
            settings.keep_for_demo_minutes or settings.like_cluster_id,
            "a cluster is to be held or copied: one is wanted",
        ),
        (
            here.ready > settings.here_minutes,
            f"this machine would take more than here_minutes, {settings.here_minutes}",
        ),
        (here.ready > cluster.ready, "its matrix is expected sooner"),
    )
    against = next((reason for is_so, reason in reasons if is_so), None)
    return ("cluster", against) if against else ("here", "the matrix is expected sooner, and no cluster is needed")


def describe_choice(estimates: Sequence[PlaceEstimate], where: Where, why: str) -> str:
    """The comparison as a small table."""
    lines = [f"{'place':<22}{'start':>9}{'features':>10}{'components':>12}{'matrix after':>14}{'USD':>8}"]
    for each in estimates:
        times = f"{_minutes(each.start):>9}{_minutes(each.features):>10}{_minutes(each.components):>12}"
        lines.append(f"{each.name:<22}{times}{_minutes(each.ready):>14}{each.usd:>8.2f}")
    return "\n".join([*lines, f"place: {where} ({why})"])


def _minutes(minutes: float) -> str:
    """m:ss, or h:mm:ss from an hour on."""
    whole, seconds = divmod(round(minutes * 60), 60)
    hours, rest = divmod(whole, 60)
    return f"{hours}:{rest:02d}:{seconds:02d}" if hours else f"{rest}:{seconds:02d}"


@dataclass(frozen=True)
class MeasuredHere:
    """What a run measured on this machine, as `cost.json` keeps it for the next one.

    Attributes:
        run_id: of the run.
        rate_per_process: images a second of one worker.
        worker_peak_mib: the most memory that one took.
        architecture, engine: of the machine and the model.
        mean_bytes: the mean size of the images.
    """

    run_id: str
    rate_per_process: float
    worker_peak_mib: float
    architecture: str
    engine: str
    mean_bytes: float


def find_measured(
    measured: Mapping[str, Any] | None, plan: Mapping[str, Any], machine: Machine, engine: str
) -> MeasuredHere | None:
    """What an earlier run measured, if its images and this machine are like these."""
    if not measured or not plan["todo"]:
        return None
    found = MeasuredHere(**measured)
    alike = sizes_alike(found.mean_bytes, mean_bytes(plan))
    return found if alike and (found.architecture, found.engine) == (machine.architecture, engine) else None


def rate_per_process(measured: MeasuredHere | None, plan: Mapping[str, Any]) -> tuple[float, str]:
    """Images a second of a worker, and where that is known from, in words."""
    size = mean_bytes(plan)
    if measured is not None:
        return measured.rate_per_process, f"measured by run {measured.run_id}"
    return assumed_rate(size), f"assumed for pictures of {size / 1000:.0f} KB, since no run has measured it here"


def measured_here(record: Mapping[str, Any] | None, featurize: Mapping[str, Any] | None) -> MeasuredHere | None:
    """What a run measured here, to its end or until it was cut off; None when it computed too few images to tell.

    Args:
        record: its `here.json`.
        featurize: its `featurize.json`, of whatever place.
    """
    if not record or featurize is None or featurize["run_id"] != record["run_id"]:
        return None
    computed = featurize["featurized"] + featurize["rejected"]
    if record["images"] < _LEAST_MEASURED or not record["images_per_second"] or not computed:
        return None
    return MeasuredHere(
        run_id=record["run_id"],
        rate_per_process=record["images_per_second"] / record["processes"],
        # A cluster's workers are like these.
        worker_peak_mib=featurize["worker_peak_mib"],
        architecture=record["architecture"],
        engine=featurize["engine"],
        mean_bytes=featurize["bytes"] / computed,
    )

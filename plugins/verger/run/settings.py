"""The settings of one run: built and checked once, from the DAG's params."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from verger_rules.model import FEATURES

from verger.run.eu_guard import EU_REGIONS, check_region
from verger.run.images_prefix import check_images_prefix

ENGINES = ("litert", "keras")
#: Where a run works: where its matrix is expected sooner, on a cluster, or on Airflow's own machine.
COMPUTES = ("auto", "cluster", "here")
#: Bounds that the form shows and the settings enforce: (smallest, largest). There are no more components than features.
K_BOUNDS = (1, FEATURES)
#: As `k`: the fewest components that are as good as any, found by the run itself.
AUTO_K = "auto"
HERE_MINUTE_BOUNDS = (1, 720)
#: In each of the two fleets as many nodes of 4 vCPU as make 1,000 (`cluster/shape.py`).
NODE_BOUNDS = (1, 500)
WANTED_MINUTE_BOUNDS = (5, 720)
#: EMR takes up to 16 TB; pictures are not stored on the nodes.
EBS_GB_BOUNDS = (10, 1000)
BUDGET_BOUNDS = (0.01, 10_000)
CLUSTER_HOUR_BOUNDS = (1, 48)
HELD_MINUTE_BOUNDS = (0, 240)
#: EMR accepts 60 to 604,800 s (API_AutoTerminationPolicy); more than two hours idle is a forgotten cluster.
IDLE_MINUTE_BOUNDS = (1, 120)
EXECUTOR_MINUTE_BOUNDS = (1, 60)
STALLED_MINUTE_BOUNDS = (1, 720)
#: 0 means never.
END_STALLED_MINUTE_BOUNDS = (0, 1440)
CHUNK_BOUNDS = (100, 1_000_000)
_CLUSTER_BOUNDS = {
    "core_nodes": NODE_BOUNDS,
    "max_nodes": NODE_BOUNDS,
    "wanted_minutes": WANTED_MINUTE_BOUNDS,
    "ebs_gb": EBS_GB_BOUNDS,
    "max_cluster_hours": CLUSTER_HOUR_BOUNDS,
    "keep_for_demo_minutes": HELD_MINUTE_BOUNDS,
    "idle_minutes": IDLE_MINUTE_BOUNDS,
    "executor_wait_minutes": EXECUTOR_MINUTE_BOUNDS,
    "stalled_minutes": STALLED_MINUTE_BOUNDS,
    "end_stalled_minutes": END_STALLED_MINUTE_BOUNDS,
}
_SHARES = ("max_reject_rate", "spot_share")
_SWITCHES = (
    "delete_missing", "delete_more_than_half", "standardize", "take_damaged", "retry_rejects", "force", "auto_k",
)  # fmt: skip
_TEXTS = ("source", "weights", "like_cluster_id", "subnet_id", "test_folder")
#: So much of a value is shown in a message.
_SHOWN_CHARACTERS = 200

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_CLUSTER_ID = re.compile(r"j-[A-Z0-9]+")
_SUBNETS = re.compile(r" *subnet-[0-9a-f]+ *(, *subnet-[0-9a-f]+ *)*")
_RELEASE = re.compile(r"emr-(spark-)?[0-9]+\.[0-9]+\.[0-9]+")


class SettingError(ValueError):
    """A setting cannot be used; the message names it, its value and what to do."""


@dataclass(frozen=True)
class Settings:
    """What one run is to do.

    Attributes:
        bucket: the bucket of the pictures, features and results.
        region: the AWS region of the bucket and the cluster, in the EU.
        images_prefix: the prefix of the pictures in the bucket, ending in `/`.
        source: what to copy pictures from before the run (`sync/source_address.py`); empty for none.
        delete_missing: whether pictures that are not in the source are deleted from the bucket.
        delete_more_than_half: whether that may be more than half of the bucket's pictures.
        weights: an .h5 file of MobileNetV2 weights, here or at an s3:// address; empty for the bucket's default model.
        engine: `litert`, or `keras` as the reference.
        k: how many components to keep, unless `variance` is given; AUTO_K for the fewest that are as good as any.
        auto_k: the same as AUTO_K, for the form, whose field takes numbers only.
        least_k, most_k: bounds for AUTO_K.
        variance: the share of variance to reach with as few components as possible; None to use `k`.
        test_folder: the name of the folder whose images are judged by all others; empty for Test beside Training.
        standardize: whether features are divided by their standard deviation first.
        max_reject_rate: the share of rejects above which the run fails.
        chunk_images: images a commit holds: what a killed step may have to do again.
        take_damaged: whether JPEGs that are damaged inside or cut off count as far as they can be decoded.
        retry_rejects: whether earlier rejects are tried again.
        force: whether the run goes on though nothing changed.
        compute: one of COMPUTES.
        here_minutes: how long a run may take on Airflow's machine; what is not done then goes to a cluster.
        release_label: EMR's release.
        instance_type: the preferred type of every node; it decides the architecture (x86_64 or Graviton).
        core_nodes: at least this many nodes compute, bought On-Demand, beside the primary.
        max_nodes: at most this many compute.
        wanted_minutes: within these bounds there are as many nodes as do the pictures in about this time.
        spot_share: the share of the computing nodes that is bought as Spot.
        ebs_gb: gp3 storage of each node.
        budget_usd: the run stops before create when the cluster could cost more.
        max_cluster_hours: the reaper ends the cluster when it is older, or when the budget is used up.
        keep_for_demo_minutes: how long a finished cluster is held for a demonstration.
        like_cluster_id: an earlier cluster whose shape is taken instead; empty for none.
        subnet_id: the cluster's subnet, or several with commas between them; empty for the installation's own.
        idle_minutes: after how many idle minutes EMR ends the cluster by itself.
        executor_wait_minutes: how long a step waits for its first executor before it fails.
        stalled_minutes: after how many minutes without progress of a step its task's log says so.
        end_stalled_minutes: after how many such minutes the step is given up and the cluster ended; 0 for never.
    """

    bucket: str
    region: str
    images_prefix: str = "images/"
    source: str = ""
    delete_missing: bool = False
    delete_more_than_half: bool = False
    weights: str = ""
    engine: str = "litert"
    k: int | str = 10
    auto_k: bool = False
    least_k: int = 2
    most_k: int = 100
    variance: float | None = None
    standardize: bool = False
    test_folder: str = ""
    max_reject_rate: float = 0.05
    chunk_images: int = 20_000
    take_damaged: bool = False
    retry_rejects: bool = False
    force: bool = False
    compute: str = "auto"
    here_minutes: int = 10
    release_label: str = "emr-spark-8.1.0"
    instance_type: str = "m6i.xlarge"
    core_nodes: int = 1
    max_nodes: int = 10
    wanted_minutes: int = 30
    spot_share: float = 0.5
    ebs_gb: int = 32
    budget_usd: float = 20.0
    max_cluster_hours: int = 6
    keep_for_demo_minutes: int = 0
    like_cluster_id: str = ""
    subnet_id: str = ""
    idle_minutes: int = 15
    executor_wait_minutes: int = 5
    stalled_minutes: int = 10
    end_stalled_minutes: int = 30

    def __post_init__(self) -> None:
        """Raise SettingError, or OutsideEuError, for the first setting that cannot be used, whatever its type."""
        _check_text("bucket", self.bucket, _BUCKET, "give the name of an S3 bucket, for example fruits-data")
        if not isinstance(self.region, str):
            raise SettingError(f"region is {shown(self.region)}: choose one of {', '.join(EU_REGIONS)}")
        check_region(self.region)
        if (wrong := check_images_prefix(self.images_prefix)) is not None:
            raise SettingError(f"images_prefix is {shown(self.images_prefix)}: {wrong}")
        for name in _TEXTS:
            _check_one_line(name, getattr(self, name))
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise SettingError(f"{name} is {shown(getattr(self, name))}: give true or false")
        if self.engine not in ENGINES:
            raise SettingError(f"engine is {shown(self.engine)}: choose one of {', '.join(ENGINES)}")
        if self.compute not in COMPUTES:
            raise SettingError(f"compute is {shown(self.compute)}: choose one of {', '.join(COMPUTES)}")
        _check_bounds("here_minutes", self.here_minutes, HERE_MINUTE_BOUNDS)
        self._check_components()
        if self.auto_k:
            object.__setattr__(self, "k", AUTO_K)
        for name in _SHARES:
            _check_number(name, getattr(self, name), (0, 1))
        _check_bounds("chunk_images", self.chunk_images, CHUNK_BOUNDS)
        self._check_cluster()

    def _check_components(self) -> None:
        if isinstance(self.k, str):
            if self.k != AUTO_K:
                raise SettingError(f"k is {shown(self.k)}: give a whole number from 1 to {FEATURES:,}, or {AUTO_K}")
        else:
            _check_bounds("k", self.k, K_BOUNDS)
        _check_bounds("least_k", self.least_k, K_BOUNDS)
        _check_bounds("most_k", self.most_k, K_BOUNDS)
        if self.least_k > self.most_k:
            raise SettingError(
                f"least_k is {self.least_k}, more than most_k, {self.most_k}: lower it or raise the other"
            )
        if self.variance is not None and not (_is_number(self.variance) and 0 < self.variance <= 1):
            raise SettingError(f"variance is {shown(self.variance)}: give a share above 0 and up to 1, for example 0.9")
        if "/" in self.test_folder or self.test_folder in {".", ".."}:
            raise SettingError(f"test_folder is {shown(self.test_folder)}: give the name of one folder, without /")

    def _check_cluster(self) -> None:
        for name, bounds in _CLUSTER_BOUNDS.items():
            _check_bounds(name, getattr(self, name), bounds)
        if self.max_nodes < self.core_nodes:
            raise SettingError(
                f"max_nodes is {self.max_nodes!r}, less than core_nodes, {self.core_nodes}: raise it or lower the other"
            )
        if 0 < self.end_stalled_minutes <= self.stalled_minutes:
            raise SettingError(
                f"end_stalled_minutes is {self.end_stalled_minutes}, not more than stalled_minutes, "
                f"{self.stalled_minutes}: raise it, lower the other, or give 0 for never"
            )
        _check_number("budget_usd", self.budget_usd, BUDGET_BOUNDS)
        if self.like_cluster_id:
            _check_text("like_cluster_id", self.like_cluster_id, _CLUSTER_ID, "write it like j-2AXXXXXXGAPLF")
        if self.subnet_id:
            _check_text("subnet_id", self.subnet_id, _SUBNETS, "write it like subnet-0123456789abcdef0")
        _check_text("release_label", self.release_label, _RELEASE, "write it like emr-spark-8.1.0")
        _check_text("instance_type", self.instance_type, _INSTANCE_TYPE, "write it like m6i.xlarge")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "Settings":
        """Build the settings from a DAG run's params, where None is a text left empty; raises SettingError."""
        known = {field.name: field.default for field in fields(cls)}
        if unknown := sorted(set(params) - set(known), key=str):
            raise SettingError(f"unknown setting {shown(unknown[0])}: there are {', '.join(sorted(known))}")
        needed = {name: None for name, default in known.items() if default is MISSING}
        given: dict[str, Any] = {
            name: "" if value is None and known[name] == "" else value for name, value in params.items()
        }
        if isinstance(given.get("k"), str) and _WHOLE_NUMBER.fullmatch(given["k"]):
            given["k"] = int(given["k"])
        return cls(**(needed | given))


def shown(value: object) -> str:
    """A value as it may stand in a message: on one line, and not longer than can be read."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _check_text(name: str, value: object, pattern: re.Pattern[str], what_to_do: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise SettingError(f"{name} is {shown(value)}: {what_to_do}")


def _check_one_line(name: str, value: object) -> None:
    """Raise SettingError for what cannot be a path or an address: control characters, line ends, half characters."""
    if not isinstance(value, str):
        raise SettingError(f"{name} is {shown(value)}: give a text, or leave it empty")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in value):
        raise SettingError(f"{name} is {shown(value)}: write it without line breaks and other control characters")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_bounds(name: str, value: object, bounds: tuple[int, int]) -> None:
    smallest, largest = bounds
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
        raise SettingError(f"{name} is {shown(value)}: give a whole number from {smallest:,} to {largest:,}")


def _check_number(name: str, value: Any, bounds: tuple[float, float]) -> None:  # noqa: ANN401 -- anything of JSON
    smallest, largest = bounds
    if not _is_number(value) or not smallest <= value <= largest:
        raise SettingError(f"{name} is {shown(value)}: give a number from {smallest:,} to {largest:,}")

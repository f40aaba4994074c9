"""The settings of one run: built and checked once, from the DAG's params."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from verger.eu_guard import check_region

#: MobileNetV2 without its top gives this many features; there are no more components than that.
FEATURES = 1280
ENGINES = ("litert", "keras")
#: Bounds that the form shows and the settings enforce: (smallest, largest).
K_BOUNDS = (1, FEATURES)
CORE_NODE_BOUNDS = (1, 100)
#: EMR accepts 60 to 604,800 s (API_AutoTerminationPolicy); more than two hours idle is a forgotten cluster.
IDLE_MINUTE_BOUNDS = (1, 120)
CHUNK_BOUNDS = (100, 1_000_000)

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_INSTANCE_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")


class SettingError(ValueError):
    """A setting cannot be used; the message names it, its value and what to do."""


@dataclass(frozen=True)
class Settings:
    """What one run is to do.

    Attributes:
        bucket: the bucket of the pictures, features and results.
        region: the AWS region of the bucket and the cluster, in the EU.
        images_prefix: the prefix of the pictures in the bucket, ending in `/`.
        source: a folder to copy pictures from before the run; empty for none.
        delete_missing: whether pictures that are not in the source are deleted from the bucket.
        weights: an .h5 file of MobileNetV2 weights; empty for the bucket's default model.
        engine: `litert`, or `keras` as the reference.
        k: how many components to keep, unless `variance` is given.
        variance: the share of variance to reach with as few components as possible; None to use `k`.
        standardize: whether features are divided by their standard deviation first.
        max_reject_rate: the share of rejects above which the run fails.
        chunk_images: images a commit holds: what a killed step may have to do again.
        retry_rejects: whether earlier rejects are tried again.
        force: whether the run goes on though nothing changed.
        release_label: EMR's release.
        instance_type: of every node.
        core_nodes: how many nodes compute, beside the primary.
        idle_minutes: after how many idle minutes EMR ends the cluster by itself.
    """

    bucket: str
    region: str
    images_prefix: str = "images/"
    source: str = ""
    delete_missing: bool = False
    weights: str = ""
    engine: str = "litert"
    k: int = 10
    variance: float | None = None
    standardize: bool = False
    max_reject_rate: float = 0.05
    chunk_images: int = 20_000
    retry_rejects: bool = False
    force: bool = False
    release_label: str = "emr-spark-8.1.0"
    instance_type: str = "m6i.xlarge"
    core_nodes: int = 2
    idle_minutes: int = 15

    def __post_init__(self) -> None:
        """Raise SettingError for the first setting that cannot be used."""
        if not _BUCKET.fullmatch(self.bucket or ""):
            raise SettingError(f"bucket is {self.bucket!r}: give the name of an S3 bucket, for example fruits-data")
        check_region(self.region)
        if not self.images_prefix.endswith("/") or self.images_prefix.startswith("/"):
            raise SettingError(f"images_prefix is {self.images_prefix!r}: write it like images/")
        if self.images_prefix.split("/")[0] in {
            "features",
            "rejects",
            "results",
            "runs",
            "models",
            "code",
            "logs",
        }:
            raise SettingError(f"images_prefix is {self.images_prefix!r}: that folder is Verger's own, choose another")
        if self.engine not in ENGINES:
            raise SettingError(f"engine is {self.engine!r}: choose one of {', '.join(ENGINES)}")
        _check_bounds("k", self.k, K_BOUNDS)
        if self.variance is not None and not 0 < self.variance <= 1:
            raise SettingError(f"variance is {self.variance}: give a share above 0 and up to 1, for example 0.9")
        if not 0 <= self.max_reject_rate <= 1:
            raise SettingError(f"max_reject_rate is {self.max_reject_rate}: give a share from 0 to 1")
        _check_bounds("chunk_images", self.chunk_images, CHUNK_BOUNDS)
        _check_bounds("core_nodes", self.core_nodes, CORE_NODE_BOUNDS)
        _check_bounds("idle_minutes", self.idle_minutes, IDLE_MINUTE_BOUNDS)
        if not re.fullmatch(r"emr-(spark-)?\d+\.\d+\.\d+", self.release_label):
            raise SettingError(f"release_label is {self.release_label!r}: write it like emr-spark-8.1.0")
        if not _INSTANCE_TYPE.fullmatch(self.instance_type):
            raise SettingError(f"instance_type is {self.instance_type!r}: write it like m6i.xlarge")

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> "Settings":
        """Build the settings from a DAG run's params; raises SettingError."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(params) - known)
        if unknown:
            raise SettingError(f"unknown setting {unknown[0]!r}: there are {', '.join(sorted(known))}")
        return cls(**params)


def _check_bounds(name: str, value: int, bounds: tuple[int, int]) -> None:
    smallest, largest = bounds
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
        raise SettingError(f"{name} is {value!r}: give a whole number from {smallest:,} to {largest:,}")

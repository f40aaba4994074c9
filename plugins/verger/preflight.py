"""Finds every reason to fail that can be known before anything is created."""

from pathlib import Path
from typing import TYPE_CHECKING

from verger.code_bundle import collect_code
from verger.deployment import Deployment
from verger.eu_guard import check_bucket
from verger.model_store import ModelError
from verger.settings import Settings
from verger.sync import find_pictures

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def check_installation(deployment: Deployment) -> None:
    """Raise InstallationError when the code for the cluster is not complete."""
    collect_code(deployment.home)


def check_inputs(s3: "S3Client", settings: Settings) -> dict[str, str]:
    """Check what a run reads; returns the region of each resource for `run.json`.

    Raises SettingError, OutsideEuError, BucketMissingError, SourceError or ModelError.
    """
    regions = {"bucket": check_bucket(s3, settings.bucket), "cluster": settings.region}
    if settings.source:
        find_pictures(Path(settings.source), settings.images_prefix)
    if settings.weights and not Path(settings.weights).is_file():
        raise ModelError(f"weights is {settings.weights!r}: there is no such file on this machine")
    return regions

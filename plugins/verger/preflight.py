"""Finds every reason to fail that can be known before anything is created."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from verger_rules.addresses import parse_uri

from verger.artifacts.code_bundle import collect_code
from verger.artifacts.model_store import check_weights
from verger.cluster.instance_fleets import read_shape
from verger.cluster.shape import ClusterShape, choose_shape, shape_wish
from verger.cluster.spec import cluster_subnets
from verger.cluster.subnets import Subnets, check_subnets
from verger.here.machine import check_can_work, choose_processes, read_machine
from verger.prices import PriceTable
from verger.run.deployment import Deployment
from verger.run.eu_guard import check_bucket, check_topic, is_local_endpoint
from verger.run.settings import SettingError, Settings
from verger.storage.layout import BucketLayout
from verger.sync.source_address import check_source

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient
    from mypy_boto3_s3 import S3Client

_MORE_THAN_ANY_CLUSTER_DOES = 10**15
#: One to see that the cluster or a step is ready, and three for Airflow to start what comes next.
_POLLS_WHILE_IDLE = 4


def check_installation(deployment: Deployment) -> None:
    """Raise InstallationError when the code for the cluster is not complete."""
    collect_code(deployment.home)


def check_here(deployment: Deployment, settings: Settings, s3: "S3Client") -> None:
    """Raise PlaceError or OutsideEuError when a run that is to work on this machine cannot."""
    if settings.compute != "here":
        return
    check_can_work(deployment, settings.engine, is_local=is_local_endpoint(s3.meta.endpoint_url))
    choose_processes(read_machine(), deployment.here_processes, 0, 0.0)


def check_inputs(s3: "S3Client", settings: Settings) -> dict[str, str]:
    """Check what a run reads; returns the region of each resource for `run.json`.

    Raises SettingError, OutsideEuError, BucketMissingError, SourceError or ModelError.
    """
    layout = BucketLayout(settings.bucket, settings.images_prefix)
    regions = {
        "bucket": check_bucket(s3, settings.bucket),
        "logs": check_bucket(s3, parse_uri(layout.log_uri).bucket),
        "cluster": settings.region,
    }
    if settings.source:
        source_region = check_source(settings.source, s3, layout)
        regions |= {"source": source_region} if source_region else {}
    if settings.weights:
        regions["weights"] = check_weights(s3, settings.weights)
    return regions


def check_places(s3: "S3Client", deployment: Deployment) -> dict[str, str]:
    """Check where an installation's own resources lie; returns the region of each that there is.

    Raises OutsideEuError, BucketMissingError or SettingError.
    """
    regions = {}
    if deployment.wheelhouse_uri:
        regions["wheelhouse"] = check_bucket(s3, parse_uri(deployment.wheelhouse_uri).bucket)
        _check_wheelhouse(s3, deployment.wheelhouse_uri)
    if deployment.inventory_uri:
        regions["inventory"] = check_bucket(s3, parse_uri(deployment.inventory_uri).bucket)
    if deployment.topic_arn:
        regions["topic"] = check_topic(deployment.topic_arn)
    return regions


def _check_wheelhouse(s3: "S3Client", uri: str) -> None:
    """The nodes would find out on machines that cost money already."""
    folder = parse_uri(f"{uri}/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
    if not any(entry["Key"].endswith(".whl") for page in pages for entry in page.get("Contents", ())):
        raise SettingError(
            f"VERGER_WHEELHOUSE_URI is {uri!r}: there is no wheel in it; fill it (docs/operations.md), or leave it"
            " empty for clusters that reach a package index"
        )


def check_patience(settings: Settings, deployment: Deployment) -> None:
    """Raise SettingError when a run is less patient than its tasks look.

    The cluster would end itself, idle, between two tasks: a task that waits for it looks every `poll_seconds`; then the
    next one has to be scheduled and started. And a step whose progress is looked at as seldom cannot be judged sooner.
    """
    if settings.stalled_minutes * 60 <= deployment.poll_seconds:
        raise SettingError(
            f"stalled_minutes is {settings.stalled_minutes}: with VERGER_POLL_SECONDS={deployment.poll_seconds} a step "
            f"is not looked at as often; choose at least {deployment.poll_seconds // 60 + 1}"
        )
    if settings.idle_minutes * 60 < _POLLS_WHILE_IDLE * deployment.poll_seconds:
        raise SettingError(
            f"idle_minutes is {settings.idle_minutes}: with VERGER_POLL_SECONDS={deployment.poll_seconds} the cluster "
            "could end by itself between two steps; "
            f"choose at least {-(-_POLLS_WHILE_IDLE * deployment.poll_seconds // 60)}"
        )


def check_cluster(
    emr: "EMRClient", ec2: Callable[[], Subnets], settings: Settings, deployment: Deployment, prices: PriceTable
) -> None:
    """Check what the cluster will be made of; `ec2` is asked only where there is a subnet to check.

    Raises UnknownInstanceTypeError, ShapeError, SubnetMissingError or SettingError.
    """
    prices.instance_type(settings.instance_type, settings.region)
    if settings.like_cluster_id:
        read_shape(emr, settings.like_cluster_id, settings.region, prices)
    if subnets := cluster_subnets(settings, deployment):
        check_subnets(ec2(), subnets, settings.region)
    if deployment.security_configuration:
        _check_security_configuration(emr, deployment.security_configuration)


def largest_shape(emr: "EMRClient", settings: Settings, prices: PriceTable) -> ClusterShape:
    """The machines that a run may ask for at most: how many pictures there are is not known yet.

    Raises UnknownInstanceTypeError or ShapeError.
    """
    if settings.like_cluster_id:
        return read_shape(emr, settings.like_cluster_id, settings.region, prices)
    return choose_shape(shape_wish(settings), prices, images=_MORE_THAN_ANY_CLUSTER_DOES, rate_per_vcpu=1)


def _check_security_configuration(emr: "EMRClient", name: str) -> None:
    try:
        emr.describe_security_configuration(Name=name)
    except ClientError as error:
        raise SettingError(
            f"VERGER_SECURITY_CONFIGURATION is {name!r}: EMR does not have it "
            f"({error.response['Error']['Code']}); correct the name, or deploy infra/template.yaml in this region"
        ) from error

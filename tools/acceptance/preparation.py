"""What is refused before anything costs money, and what a cluster needs in the bucket."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import boto3
from botocore.config import Config
from verger import preflight
from verger.artifacts.code_bundle import publish_code
from verger.artifacts.model_store import Model, ensure_model
from verger.plan.frozen_list import deciding, freeze_list
from verger.plan.listing import objects_page_by_page
from verger.plan.plan_space import PlanLimits, plan_space
from verger.plan.planning import Plan, list_bucket, make_plan
from verger.run.eu_guard import is_local_endpoint
from verger.storage.layout import BucketLayout, RunLayout
from verger.sync.folder import FolderSource
from verger.sync.synchronize import synchronize

from tools.acceptance.orders import IMAGES
from tools.draw_images import Drawing, write_images

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient
    from mypy_boto3_s3 import S3Client
    from verger.cluster.subnets import Subnets
    from verger.prices import PriceTable
    from verger.run.deployment import Deployment
    from verger.run.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Clients:
    """AWS, with boto3's own search for credentials."""

    s3: S3Client
    emr: EMRClient
    emr_once: EMRClient
    region: str

    @classmethod
    def of(cls, region: str) -> Clients:
        """Clients of a region."""
        patient = Config(retries={"mode": "standard", "max_attempts": 6}, max_pool_connections=32)
        once = Config(retries={"total_max_attempts": 1})
        return cls(
            boto3.client("s3", region_name=region, config=patient),
            boto3.client("emr", region_name=region, config=patient),
            boto3.client("emr", region_name=region, config=once),
            region,
        )

    def ec2(self) -> Subnets:
        """EC2, of which a run asks for subnets only."""
        return cast("Subnets", boto3.client("ec2", region_name=self.region))

    @property
    def local(self) -> bool:
        """Whether EMR is a server of this machine."""
        return is_local_endpoint(self.emr.meta.endpoint_url)


def check(clients: Clients, settings: Settings, deployment: Deployment, prices: PriceTable) -> dict[str, str]:
    """Check what a run's first task checks; the region of each resource. Raises ValueError for the first problem."""
    preflight.check_installation(deployment)
    preflight.check_patience(settings, deployment)
    regions = preflight.check_inputs(clients.s3, settings) | preflight.check_places(clients.s3, deployment)
    preflight.check_cluster(clients.emr, clients.ec2, settings, deployment, prices)
    return regions


def new_run(bucket: str, now: datetime) -> RunLayout:
    """The run of this program, with pictures of its own in its own folder: nobody watches that one."""
    run_id = f"acceptance__{now.astimezone(UTC).isoformat(timespec='seconds')}"
    slug = RunLayout(BucketLayout(bucket), run_id).slug
    return RunLayout(BucketLayout(bucket, f"runs/{slug}/pictures/"), run_id)


@dataclass(frozen=True)
class Prepared:
    """What lies in the bucket: the code, the model and the frozen list of pictures."""

    code_uri: str
    model: Model
    plan: Plan


def prepare(clients: Clients, settings: Settings, deployment: Deployment, run: RunLayout) -> Prepared:
    """Put everything that the clusters read into the bucket. Raises ValueError, ClientError."""
    environment = {**os.environ, "AWS_REGION": clients.region, "AWS_DEFAULT_REGION": clients.region}
    model = ensure_model(clients.s3, run.layout, _with_model_python(deployment), settings.weights, environment)
    code_uri = publish_code(clients.s3, run.layout, deployment.home)
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), Drawing(images=IMAGES, labels=8), processes=1)
        source = FolderSource(Path(folder), run.layout.images_prefix)
        synchronize(clients.s3, run.layout, source, delete_missing=False)
    return Prepared(code_uri, model, _plan(clients, settings, run, model.fingerprint))


def _plan(clients: Clients, settings: Settings, run: RunLayout, fingerprint: str) -> Plan:
    """Write `manifest.parquet` and `plan.json` of a bucket of which nothing is done yet."""
    manifest, description = run.run_file("manifest.parquet"), run.run_file("plan.json")
    list_objects = partial(objects_page_by_page, clients.s3, run.layout)
    with plan_space(PlanLimits()) as space:
        list_bucket(list_objects, list_objects, run.layout, space)
        frozen = freeze_list(space, deciding(fingerprint, settings))
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        plan = make_plan(space, frozen, settings, run_id=run.run_id, fingerprint=fingerprint, created_at=created_at)
        clients.s3.upload_file(str(frozen.file), manifest.bucket, manifest.key)
    clients.s3.put_object(Bucket=description.bucket, Key=description.key, Body=plan.to_json())
    return plan


def _with_model_python(deployment: Deployment) -> Deployment:
    own = PROJECT / ".venv" / "model" / "bin" / "python"
    return deployment if deployment.model_python or not own.exists() else replace(deployment, model_python=own)

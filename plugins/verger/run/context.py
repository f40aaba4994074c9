"""What a task of a run reads from its context: the settings and the paths."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from verger.run.claim import Holder, claim_run
from verger.run.deployment import Deployment
from verger.run.eu_guard import EU_REGIONS
from verger.run.run_ids import check_run_id
from verger.run.settings import Settings, shown
from verger.storage.layout import BucketLayout, RunLayout

if TYPE_CHECKING:
    from airflow.sdk import Context
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)


def run_settings(context: "Context") -> Settings:
    """The run's settings; fails the task for good when one cannot be used."""
    try:
        return Settings.from_params(context["params"])
    except ValueError as error:
        # Trying again cannot help: the message is all there is to say.
        raise AirflowFailException(str(error)) from error


def run_layout(settings: Settings, context: "Context") -> RunLayout:
    """The run's paths; fails the task for good when the run id is one of Verger's own."""
    run_id = str(context["run_id"])
    try:
        check_run_id(run_id)
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    return RunLayout(BucketLayout(settings.bucket, settings.images_prefix), run_id)


def claim_folder(s3: "S3Client", deployment: Deployment, run: RunLayout, context: "Context") -> Holder:
    """Claim the run's folder before anything is written there; fails the task for good when it is another's."""
    holder = Holder(deployment.name, context["ti"].dag_id, run.run_id)
    try:
        claim_run(s3, run, holder, datetime.now(UTC).isoformat(timespec="seconds"))
    except ValueError as error:
        raise AirflowFailException(str(error)) from error
    return holder


def task_states(context: "Context") -> dict[str, str | None]:
    """The states of the run's tasks by now: Airflow keeps what a task handed on though it was cleared and skipped."""
    run_id = str(context["run_id"])
    found: dict[str, dict[str, str | None]] = context["ti"].get_task_states(
        dag_id=context["ti"].dag_id, run_ids=[run_id]
    )
    return found.get(run_id, {})


@dataclass(frozen=True)
class RunPlace:
    """What a teardown has to know of a run, and no more.

    Attributes:
        region: where its cluster is.
        run: its paths; those of the pictures are not to be used.
    """

    region: str
    run: RunLayout


def run_place(deployment: Deployment, context: "Context") -> RunPlace:
    """Where a run is, from as little of its settings as can be: whatever the others hold, its cluster must end.

    Settings that were good when the cluster was created can be refused later: an update of Verger may check more, or
    no longer know one of them. What is not usable here counts as what the installation has.
    """
    params = context["params"]
    region, bucket = params.get("region"), params.get("bucket")
    if region not in EU_REGIONS:
        log.warning("region is %s, which is none of the EU: looking in %s", shown(region), deployment.region)
        region = deployment.region
    if not isinstance(bucket, str) or not bucket:
        bucket = deployment.bucket
    return RunPlace(region, RunLayout(BucketLayout(bucket), str(context["run_id"])))

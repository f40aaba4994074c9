"""Whose a run's folder is: the claim that an installation and a DAG hold on `runs/<slug>/` (docs/formats.md).

Paths go by the run id alone, and two installations or two DAGs may give a run the same one: their schedules do. So
whoever begins a run first puts `claim.json`, only where there is none. It is an object and no lock: it does not run
out, because the folder stays the run's own for as long as its results are read and its tasks can be cleared.

It is given back when the run ends in its plan: nothing to do, or the plan was refused. Then no other task of the run
is at work, and no file is there that another run of that id could take for its own. A run that failed before or after
that keeps it, since clearing its tasks goes on with it. An installation is known by `VERGER_NAME`.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from verger.storage.conditional_writes import change_json, delete_unchanged
from verger.storage.json_objects import read_stored
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

FORMAT = 1


class RunTakenError(ValueError):
    """The folder of the run is another's; the message says whose, since when, and what to do."""


@dataclass(frozen=True)
class Holder:
    """Who holds a run's folder.

    Attributes:
        installation: `VERGER_NAME`.
        dag_id: the DAG.
        run_id: the whole run id, since a folder's name is a shorter form of it.
    """

    installation: str
    dag_id: str
    run_id: str


def claim_run(s3: "S3Client", run: RunLayout, holder: Holder, claimed_at: str) -> None:
    """Claim a run's folder, or find it claimed by the same holder, as a retry and a cleared task do.

    Raises RunTakenError when it is another's. A PUT whose answer was lost counts: what lies there is compared.
    """
    ours = {"format": FORMAT, **asdict(holder), "claimed_at": claimed_at}
    try:
        found = change_json(s3, run.claim, lambda there: ours if there is None else None)
    except ValueError as error:
        raise RunTakenError(
            f"{run.claim.uri} is not JSON ({error}), so nobody can say whose the folder of the run {run.run_id!r} is: "
            "trigger with another run id, or delete that object"
        ) from error
    if _holder(found) != holder:
        raise RunTakenError(_told(run, holder, found))


def give_back(s3: "S3Client", run: RunLayout, holder: Holder) -> None:
    """Give the claim back, if it is the holder's and the run left nothing that another run could mix with.

    Never raises for S3's sake: a claim that stays only keeps the run id from others.
    """
    try:
        stored = read_stored(s3, run.claim)
        if stored is None or _holder(stored.content) != holder or _left_something(s3, run):
            return
        if delete_unchanged(s3, run.claim, stored.etag):
            log.info("the run leaves nothing in its folder: %s is given back", run.claim.uri)
    except (ClientError, BotoCoreError, ValueError) as error:
        log.warning("%s could not be given back, so the run id stays this run's: %s", run.claim.uri, error)


def _left_something(s3: "S3Client", run: RunLayout) -> bool:
    """Whether the folder holds more than the claim and `left_out.json`, which every plan writes anew."""
    folder = run.run_file("")
    passing = {run.claim.key, run.left_out_of_bucket.key}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
    return any(entry["Key"] not in passing for page in pages for entry in page.get("Contents", ()))


def _holder(claim: Mapping[str, Any]) -> Holder | None:
    try:
        return Holder(claim["installation"], claim["dag_id"], claim["run_id"])
    except (KeyError, TypeError):
        return None


def _told(run: RunLayout, holder: Holder, claim: Mapping[str, Any]) -> str:
    of = _holder(claim)
    if of is None:
        whose = "somebody unknown: it is no claim that this version can read"
    elif of.run_id != holder.run_id:
        whose = f"the run {of.run_id!r}, whose id has the same short form"
    else:
        whose = f"the installation {of.installation!r} (VERGER_NAME) with its DAG {of.dag_id!r}"
    since = f", since {claim['claimed_at']}" if of is not None and "claimed_at" in claim else ""
    return (
        f"the run id {holder.run_id!r} is taken in this bucket by {whose}{since}; this is the installation "
        f"{holder.installation!r} with the DAG {holder.dag_id!r}. Nothing was written. Trigger with another run id; "
        f"only when the other one is gone for good, delete {run.claim.uri} and clear this task"
    )

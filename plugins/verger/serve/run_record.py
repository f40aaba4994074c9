"""What Airflow's database knows of a run: whether it published results, and where.

The address is the one that `publish_results` returned, so it is that of the bucket which the run's own checks let it
use. What a person may choose is kept out of it: the address must be that of this run's own folder, and its bucket the
one in the run's conf, where that names one. A param of another DAG's run, or a run of the same name in another bucket,
leads nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import select
from sqlalchemy.orm import Session
from verger_rules.addresses import parse_uri

from verger.run.eu_guard import EU_REGIONS
from verger.storage.layout import BucketLayout, RunLayout

#: The task that publishes; a DAG that has none has no results.
PUBLISH_TASK = "publish_results"


@dataclass(frozen=True)
class RunRecord:
    """A run as Airflow knows it.

    Attributes:
        dag_id: of its DAG.
        run_id: the full run id.
        state: the run's state.
        publish_state: the state of its task `publish_results`; None when that has not been reached or does not exist.
        conf: what the run was triggered with.
        published_uri: what `publish_results` returned; None when it did not.
        earlier_run_id: the last run of the DAG before it that has published; None when there is none.
    """

    dag_id: str
    run_id: str
    state: str
    publish_state: str | None
    conf: Mapping[str, Any]
    published_uri: str | None
    earlier_run_id: str | None


def read_record(dag_id: str, run_id: str) -> RunRecord | None:
    """Read a run's record; None when there is no such run. The database session ends before it returns."""
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None:
            return None
        publishing = TaskInstance.dag_id == dag_id, TaskInstance.task_id == PUBLISH_TASK
        state = select(TaskInstance.state).where(*publishing, TaskInstance.run_id == run_id)
        earlier = (
            select(TaskInstance.run_id)
            .join(TaskInstance.dag_run)
            .where(*publishing, TaskInstance.state == "success", DagRun.run_after < run.run_after)
            .order_by(DagRun.run_after.desc())
        )
        return RunRecord(
            dag_id=dag_id,
            run_id=run_id,
            state=str(run.state),
            publish_state=session.scalar(state),
            conf=run.conf if isinstance(run.conf, dict) else {},
            published_uri=read_xcom(session, dag_id, run_id, "return_value"),
            earlier_run_id=session.scalar(earlier.limit(1)),
        )


def read_xcom(session: Session, dag_id: str, run_id: str, key: str) -> str | None:
    """A text that `publish_results` handed on; None when there is none."""
    entries = XComModel.get_many(run_id=run_id, key=key, task_ids=PUBLISH_TASK, dag_ids=dag_id, limit=1)
    entry = session.scalar(entries)
    value = None if entry is None else XComModel.deserialize_value(entry)
    return value if isinstance(value, str) else None


def locate(record: RunRecord) -> RunLayout | None:
    """The paths of a run that has published; None when it has not, or when the address is not this run's own."""
    if record.publish_state != "success" or record.published_uri is None:
        return None
    try:
        address = parse_uri(record.published_uri)
    except ValueError:
        return None
    run = RunLayout(BucketLayout(address.bucket), record.run_id)
    chosen = record.conf.get("bucket")
    if record.published_uri != run.results_uri or (chosen and chosen != address.bucket):
        return None
    return run


def region_of(record: RunRecord, default: str) -> str:
    """The region of the run's bucket: of its conf when that names one of the EU, else the installation's."""
    chosen = record.conf.get("region")
    return chosen if chosen in EU_REGIONS else default

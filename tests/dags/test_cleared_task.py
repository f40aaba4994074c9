"""fruits_features on steps that can fail, run, cleared and ended by Airflow's own scheduling."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from mypy_boto3_emr import EMRClient

from tools.local_run.airflow_home import AirflowHome
from tools.local_stack import cleared

#: fruits_features itself, on steps that fail until a file is there. What needs pictures or a model is left out.
FRUITS = """
import os, runpy
from pathlib import Path
from airflow.sdk import dag
from verger import cluster_tasks, plan_tasks, tasks

MENDED = Path(os.environ["AIRFLOW_HOME"], "mended")
lease_cluster = cluster_tasks.lease_cluster

def step(name, script):
    return {"Name": name, "ActionOnFailure": "TERMINATE_CLUSTER",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["bash", "-c", script]}}

def lease(*arguments):
    found = lease_cluster(*arguments)
    found["job_flow"]["BootstrapActions"] = []
    check = f"test -e {MENDED} || {{ echo 'verger: error: not mended' >&2; exit 2; }}"
    return found | {"featurize_steps": [step("featurize", check)], "pca_steps": [step("pca", "true")]}

cluster_tasks.lease_cluster = lease
tasks.publish_model = lambda *_: {"fingerprint": "f" * 16, "uri": "s3://b/models/f", "weights": "imagenet"}
plan_tasks.plan_run = lambda *_: {"todo": 1, "listed": 1, "bytes_todo": 1}
tasks.publish_results = lambda *_: "s3://b/results"
globals().update(runpy.run_path(os.environ["FRUITS_FEATURES"]))
"""

#: Runs the DAG, clears a task as the API does for the UI, and runs what is then to run.
SCENE = """
import json, os, sys
from datetime import timedelta
from pathlib import Path
from airflow._shared.timezones import timezone
from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import clear_task_instances, find_relevant_relatives
from airflow.sdk.definitions.dag import _run_task
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState

dag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags["fruits_features"]
run_id = dag.test().run_id

def told(label):
    with create_session() as session:
        tasks = session.query(DagRun).filter_by(run_id=run_id).one().get_task_instances(session=session)
        print("RESULT", json.dumps([label, {ti.task_id: [str(ti.state), ti.try_number] for ti in tasks}]))

def clear(task_id):
    with create_session() as session:
        stored = SerializedDagModel.get_dag("fruits_features", session=session)
        names = {task_id}
        names |= set(find_relevant_relatives(
            names, [], dag=stored, run_id=run_id, direction="downstream", session=session))
        tis = stored.clear(dry_run=True, task_ids=list(names), run_id=run_id, session=session)
        clear_task_instances(tis, session, DagRunState.QUEUED)
        # As when a person does it an hour later: Airflow starts the run anew.
        session.query(DagRun).filter_by(run_id=run_id).one().start_date = timezone.utcnow() + timedelta(hours=1)

def go_on():
    with create_session() as session:
        run = session.query(DagRun).filter_by(run_id=run_id).one()
        run.dag = SerializedDagModel.get_dag("fruits_features", session=session)
        run.state = DagRunState.RUNNING
        session.commit()
        while run.state == DagRunState.RUNNING:
            session.expire_all()
            ready, _ = run.update_state(session=session)
            for ti in ready:
                ti.try_number += 1
                ti.state, ti.scheduled_dttm = TaskInstanceState.SCHEDULED, timezone.utcnow()
            session.commit()
            for ti in ready:
                _run_task(ti=ti, task=dag.task_dict[ti.task_id], run_triggerer=True)

told("failed")
Path(os.environ["AIRFLOW_HOME"], "mended").touch()
clear("wait_for_featurize")
go_on()
told("cleared")
"""


#: Runs the DAG; when there is a cluster, the run's settings become such as no form takes.
NONSENSE_SCENE = """
import json, os
from sqlalchemy import update
from airflow import settings
from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.sdk.definitions import dag as running
from airflow.utils.session import create_session

run_task = running._run_task

nonsense = {"k": "ten", "images_prefix": "images/../x/", "spot_share": [1], "components": 3}
created = False

def run_with_nonsense_once_there_is_a_cluster(*, ti, **others):
    global created
    if created:
        with settings.engine.begin() as connection:
            connection.execute(update(DagRun).where(DagRun.run_id == ti.run_id).values(conf=nonsense))
    created = created or ti.task_id == "create_cluster"
    return run_task(ti=ti, **others)

running._run_task = run_with_nonsense_once_there_is_a_cluster
run = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags["fruits_features"].test()
with create_session() as session:
    tasks = session.query(DagRun).filter_by(run_id=run.run_id).one().get_task_instances(session=session)
    print("RESULT", json.dumps(["the end", {ti.task_id: [str(ti.state), ti.try_number] for ti in tasks}]))
"""


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> str:
    """The name of a bucket of this test alone."""
    return f"fruits-{abs(hash(request.node.nodeid)):x}"


@pytest.fixture
def environment(project: Path, local_emr: EMRClient, bucket: str, tmp_path: Path) -> dict[str, str]:
    home = AirflowHome(tmp_path / "home", project, Path(sys.executable))
    home.migrate(cleared(os.environ), tmp_path / "migrate.log")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "fruits.py").write_text(FRUITS)
    s3 = boto3.client("s3", endpoint_url=local_emr.meta.endpoint_url, region_name="eu-west-1")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return {
        **cleared(os.environ),
        **home.environment(),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "FRUITS_FEATURES": str(project / "dags" / "fruits_features.py"),
        "AWS_ENDPOINT_URL": local_emr.meta.endpoint_url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "VERGER_HOME": str(project),
        "VERGER_BUCKET": bucket,
        "VERGER_WATCH_SECONDS": "0",
        "VERGER_POLL_SECONDS": "1",
    }


def play(environment: dict[str, str], scene: str, acts: int) -> list[dict[str, list[Any]]]:
    """The states and tries of all tasks after each act."""
    command = [sys.executable, "-c", scene]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    told = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert len(told) == acts, done.stderr[-3000:] + done.stdout[-6000:]
    return [json.loads(line)[1] for line in told]


def test_clearing_a_failed_featurize_gets_a_new_cluster_and_a_good_run_whose_cost_is_that_of_both(
    environment: dict[str, str], local_emr: EMRClient, bucket: str
) -> None:
    before = {cluster["Id"] for cluster in local_emr.list_clusters()["Clusters"]}
    failed, good = play(environment, SCENE, 2)
    assert failed["wait_for_featurize"] == ["failed", 1]
    assert failed["terminate_cluster"][0] == "success"

    # Nothing was to be held, and the work was not done on this machine.
    skipped = {task: state for task, (state, _) in good.items() if state != "success"}
    assert skipped == {"hold_cluster": "skipped", "run_here": "skipped"}
    assert good["add_featurize_step"] == ["success", 1]
    assert good["create_cluster"] == ["success", 2]
    ours = [cluster for cluster in local_emr.list_clusters()["Clusters"] if cluster["Id"] not in before]
    assert [cluster["Status"]["State"] for cluster in ours] == ["TERMINATED", "TERMINATED_WITH_ERRORS"]
    steps = local_emr.list_steps(ClusterId=ours[0]["Id"])["Steps"]
    assert [(step["Name"], step["Status"]["State"]) for step in steps] == [
        ("pca", "COMPLETED"),
        ("featurize", "COMPLETED"),
    ]
    assert {cluster["cluster_id"] for cluster in told_cost(local_emr, bucket)["clusters"]} == {
        cluster["Id"] for cluster in ours
    }


def test_a_run_whose_settings_are_nonsense_by_now_still_ends_its_cluster_and_tells_its_cost(
    environment: dict[str, str], local_emr: EMRClient, bucket: str
) -> None:
    before = {cluster["Id"] for cluster in local_emr.list_clusters()["Clusters"]}
    (states,) = play(environment, NONSENSE_SCENE, 1)
    assert states["create_cluster"][0] == "success"
    assert states["wait_for_cluster"][0] == "failed"
    assert (states["terminate_cluster"][0], states["record_cost"][0]) == ("success", "success")
    ours = [cluster for cluster in local_emr.list_clusters()["Clusters"] if cluster["Id"] not in before]
    assert [cluster["Status"]["State"] for cluster in ours] == ["TERMINATED"]
    assert [cluster["cluster_id"] for cluster in told_cost(local_emr, bucket)["clusters"]] == [ours[0]["Id"]]


def told_cost(local_emr: EMRClient, bucket: str) -> dict[str, Any]:
    """The only run's `cost.json`."""
    s3 = boto3.client("s3", endpoint_url=local_emr.meta.endpoint_url, region_name="eu-west-1")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="runs/")["Contents"]
    (key,) = (entry["Key"] for entry in listed if entry["Key"].endswith("/cost.json"))
    cost: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return cost

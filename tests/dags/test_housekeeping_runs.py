"""The DAGs that keep house, run by a real Airflow against a real endpoint."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException
from mypy_boto3_emr import EMRClient
from verger.cluster.tags import cluster_tags
from verger.housekeeping import report_costs
from verger.run.deployment import Deployment

from tools.local_run.airflow_home import AirflowHome
from tools.local_stack import cleared

#: Runs one DAG in a process of its own; for the reaper it first writes runs of fruits_features into the database.
RUN_DAG = """
import json, sys
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunType, DagRunTriggeredByType
from airflow.dag_processing.dagbag import DagBag
from airflow._shared.timezones import timezone

known = {"alive": DagRunState.RUNNING, "over": DagRunState.FAILED}
with create_session() as session:
    for run_id, state in known.items() if sys.argv[2] == "reap_clusters" else ():
        session.add(DagRun(
            dag_id="fruits_features", run_id=run_id, run_type=DagRunType.MANUAL, state=state,
            run_after=timezone.utcnow(), triggered_by=DagRunTriggeredByType.TEST,
        ))
dag = DagBag(sys.argv[1]).dags[sys.argv[2]]
run = dag.test()
states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
print("RESULT", json.dumps(states))
"""


@pytest.fixture(scope="module")
def home(project: Path, tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    folder = tmp_path_factory.mktemp("airflow")
    home = AirflowHome(folder / "home", project, Path(sys.executable))
    home.migrate(cleared(os.environ), folder / "migrate.log")
    return home


def run_dag(home: AirflowHome, dag_id: str, endpoint: str, **variables: str) -> dict[str, str]:
    """Run a DAG; returns the states of its tasks."""
    environment = {
        **cleared(os.environ),
        **home.environment(),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        **variables,
    }
    command = [str(home.python), "-c", RUN_DAG, str(home.project / "dags"), dag_id]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stderr[-3000:] + done.stdout[-3000:]
    states: dict[str, str] = json.loads(results[0].removeprefix("RESULT "))
    return states


def tags(run_id: str, *, hours: float = 1, installation: str = "verger") -> list[dict[str, str]]:
    end_by = datetime.now(UTC) + timedelta(hours=hours)
    ours = cluster_tags(installation=installation, dag_id="fruits_features", run_id=run_id, end_by=end_by)
    return [{"Key": key, "Value": value} for key, value in ours.items()]


class Topic:
    """An SNS topic, and what arrives in a queue behind it."""

    def __init__(self, endpoint: str) -> None:
        options: dict[str, Any] = {"endpoint_url": endpoint, "region_name": "eu-west-1"}
        sns, self.sqs = boto3.client("sns", **options), boto3.client("sqs", **options)
        self.arn = sns.create_topic(Name="mails")["TopicArn"]
        self.url = self.sqs.create_queue(QueueName=f"mails-{time.time_ns()}")["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=attributes["QueueArn"])

    def mails(self) -> list[dict[str, str]]:
        """The mails so far."""
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]


def test_the_reaper_asks_airflow_about_runs_ends_what_is_left_and_mails(
    home: AirflowHome, local_emr: EMRClient, create_cluster: Callable[..., str]
) -> None:
    endpoint = local_emr.meta.endpoint_url
    topic = Topic(endpoint)
    clusters = {
        "alive": create_cluster(Name="a", Tags=tags("alive")),
        "over": create_cluster(Name="b", Tags=tags("over")),
        "gone": create_cluster(Name="c", Tags=tags("was-never-there")),
        "old": create_cluster(Name="d", Tags=tags("alive", hours=-1)),
        "elsewhere": create_cluster(Name="e", Tags=tags("over", installation="elsewhere")),
        "foreign": create_cluster(Name="f"),
    }
    states = run_dag(home, "reap_clusters", endpoint, VERGER_TOPIC_ARN=topic.arn, VERGER_GRACE_MINUTES="0")
    assert states == {"reap_clusters": "success"}
    ended = {
        name
        for name, cluster_id in clusters.items()
        if local_emr.describe_cluster(ClusterId=cluster_id)["Cluster"]["Status"]["State"].startswith("TERMINAT")
    }
    assert ended == {"over", "gone", "old"}
    mails = topic.mails()
    assert {mail["Subject"] for mail in mails} == {
        f"Verger: cluster {clusters[name]} was ended by the reaper" for name in ended
    }
    assert any("it was to be over by" in mail["Message"] for mail in mails)


def bag(project: Path) -> dict[str, DAG]:
    loaded = DagBag(f"{project}/dags")
    assert loaded.import_errors == {}
    return loaded.dags


def test_nobody_has_to_switch_the_nets_on(project: Path) -> None:
    for dag_id in ("reap_clusters", "cost_report"):
        assert bag(project)[dag_id].is_paused_upon_creation is False
        assert bag(project)[dag_id].max_active_runs == 1
        assert bag(project)[dag_id].catchup is False


def test_the_report_of_a_week_lies_in_the_bucket_and_comes_by_mail(home: AirflowHome, local_emr: EMRClient) -> None:
    endpoint = local_emr.meta.endpoint_url
    topic = Topic(endpoint)
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="eu-west-1")
    s3.create_bucket(Bucket="reports-of-fruit", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    record = {
        "run_id": "manual__1", "dag_id": "fruits_features", "outcome": "published",
        "counted_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat(), "images": 1000, "usd": 0.5,
        "usd_per_1000_images": 0.5, "cluster_hours": 0.5, "machine_hours": 1.5, "idle_minutes": 6.0, "idle_usd": 0.05,
        "estimate": None, "clusters": [],
    }  # fmt: skip
    s3.put_object(Bucket="reports-of-fruit", Key="runs/manual__1/cost.json", Body=json.dumps(record).encode())
    states = run_dag(home, "cost_report", endpoint, VERGER_TOPIC_ARN=topic.arn, VERGER_BUCKET="reports-of-fruit")
    assert states == {"report_costs": "success"}
    written = {entry["Key"] for entry in s3.list_objects_v2(Bucket="reports-of-fruit", Prefix="reports/")["Contents"]}
    today = datetime.now(UTC).date()
    assert written == {f"reports/{today}/costs.csv", f"reports/{today}/costs.html"}
    (mail,) = topic.mails()
    assert mail["Subject"].startswith("Verger: week to ")
    assert "1 run, 0.50 USD" in mail["Subject"]


def test_an_installation_without_a_bucket_has_nothing_to_report() -> None:
    with pytest.raises(AirflowSkipException, match="VERGER_BUCKET"):
        report_costs(Deployment(home=Path()), datetime.now(UTC))
